#include <gmock/gmock.h>
#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "contract/plain_generator/check.h"
#include "vigil/api/v1/annotations.pb.h"

namespace vigil::plain_generator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class GeneratorCheck : public testing::Test {
 protected:
  GeneratorCheck() : pool_(google::protobuf::DescriptorPool::generated_pool()) {
    // What a linked file's descriptor is looked up by; without a use the linker may leave it out.
    google::protobuf::Duration::descriptor();
    vigil::api::v1::Http::descriptor();
  }

  const FileDescriptor& Build(const std::string& text, const std::string& name = "tested.proto") {
    google::protobuf::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
    google::protobuf::io::Tokenizer tokenizer(&stream, nullptr);
    google::protobuf::compiler::Parser parser;
    google::protobuf::FileDescriptorProto proto;
    EXPECT_TRUE(parser.Parse(&tokenizer, &proto)) << text;
    proto.set_name(name);
    const FileDescriptor* file = pool_.BuildFile(proto);
    if (file == nullptr) throw std::invalid_argument(text);
    return *file;
  }

  const FileDescriptor& BuildPlain(const std::string& body, const std::string& name = "tested.proto") {
    return Build(R"(syntax = "proto3"; package t; import "google/protobuf/duration.proto";
                    import "vigil/api/v1/annotations.proto"; option (vigil.api.v1.plain) = true; )" +
                     body,
                 name);
  }

  std::vector<std::string> FaultsOf(const std::string& body) { return Faults(BuildPlain(body)); }

 private:
  google::protobuf::DescriptorPool pool_;
};

TEST_F(GeneratorCheck, FindsNothingWrongWithWhatIsRight) {
  EXPECT_THAT(
      FaultsOf("enum E { E_A = 0; } message B { E e = 1; } message A { map<string, B> b = 1; oneof c { B d = 2; } "
               "optional int32 f = 3; google.protobuf.Duration g = 4; }"),
      IsEmpty());
}

TEST_F(GeneratorCheck, RefusesARecursiveMessage) {
  EXPECT_THAT(FaultsOf("message A { repeated B b = 1; } message B { map<string, A> a = 1; }"),
              ElementsAre("t.B.a: t.A contains itself through this field; plain structs cannot be recursive"));
}

TEST_F(GeneratorCheck, RefusesWhatIsNested) {
  EXPECT_THAT(FaultsOf("message A { message B {} enum C { C_A = 0; } }"),
              ElementsAre("t.A.B: a plain file nests no messages; move it to the top",
                          "t.A.C: a plain file nests no enums; move it to the top"));
}

TEST_F(GeneratorCheck, RefusesAScalarOrASpanInAOneof) {
  EXPECT_THAT(FaultsOf("message A { oneof b { string c = 1; google.protobuf.Duration d = 2; } }"),
              ElementsAre("t.A.c: a member of oneof b must be a message of ours",
                          "t.A.d: a member of oneof b must be a message of ours"));
}

TEST_F(GeneratorCheck, RefusesOneTypeTwiceInAOneof) {
  EXPECT_THAT(FaultsOf("message B {} message A { oneof b { B c = 1; B d = 2; } }"),
              ElementsAre("t.A.d: another member of oneof b is a B too"));
}

TEST_F(GeneratorCheck, RefusesEnumValuesWithoutThePrefix) {
  EXPECT_THAT(FaultsOf("enum AlertStep { ALERT_STEP_A = 0; STEP_B = 1; ALERT_STEP_ = 2; }"),
              ElementsAre("t.STEP_B: the value's name must begin with ALERT_STEP_",
                          "t.ALERT_STEP_: the value's name must begin with ALERT_STEP_"));
}

TEST_F(GeneratorCheck, RefusesEnumValuesThatDoNotFitAByte) {
  EXPECT_THAT(FaultsOf("enum E { E_A = 0; E_B = 255; E_C = 256; E_D = -1; }"),
              ElementsAre("t.E_C: the value's number must be 0 to 255", "t.E_D: the value's number must be 0 to 255"));
}

TEST_F(GeneratorCheck, RefusesEnumValuesThatBecomeOneName) {
  EXPECT_THAT(FaultsOf("enum E { option allow_alias = true; E_A_B = 0; E_A__B = 0; }"),
              ElementsAre("t.E_A__B: another value is called kAB too"));
}

TEST_F(GeneratorCheck, RefusesTypesOfFilesThatAreNotPlain) {
  Build(R"(syntax = "proto3"; package n; message M {} enum E { E_A = 0; })", "not_plain.proto");
  EXPECT_THAT(FaultsOf("import \"not_plain.proto\"; message A { n.M b = 1; map<string, n.E> c = 2; }"),
              ElementsAre("t.A.b: n.M is not in a plain file", "t.A.c: n.E is not in a plain file"));
}

TEST_F(GeneratorCheck, RefusesProto2) {
  EXPECT_THAT(Faults(Build("syntax = \"proto2\"; message A { optional int32 b = 1; }")),
              ElementsAre(HasSubstr("must be proto3")));
}

TEST_F(GeneratorCheck, OrdersContainedBeforeContaining) {
  std::vector<std::string> names;
  for (const Descriptor* message : InDependencyOrder(BuildPlain(
           "message A { B b = 1; C c = 2; } message B { repeated C c = 1; } message C { map<int32, D> d = 1; } "
           "message D {}"))) {
    names.push_back(message->name());
  }
  EXPECT_THAT(names, ElementsAre("D", "C", "B", "A"));
}

}  // namespace
}  // namespace vigil::plain_generator
