// protoc-gen-vigil-plain: a protoc plugin. For a file with `option (vigil.api.v1.plain) = true` it writes plain structs
// (<stem>.plain.h, .cc; no protobuf in them) and the way there and back (<stem>.convert.h, .cc).

#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/compiler/plugin.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <memory>
#include <string>

#include "contract/plain_generator/check.h"
#include "contract/plain_generator/conversions.h"
#include "contract/plain_generator/structs.h"

namespace vigil::plain_generator {
namespace {

using google::protobuf::compiler::GeneratorContext;
using google::protobuf::io::Printer;

class PlainGenerator : public google::protobuf::compiler::CodeGenerator {
 public:
  uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }

  bool Generate(const FileDescriptor* file, const std::string& /*parameter*/, GeneratorContext* context,
                std::string* error) const override {
    if (!IsPlain(*file)) {
      *error = file->name() + ": plain structs are asked for, but it has no `option (vigil.api.v1.plain) = true`";
      return false;
    }
    for (const std::string& fault : Faults(*file)) {
      if (!error->empty()) *error += "\n";
      *error += fault;
    }
    if (!error->empty()) return false;
    Write(*file, ".plain.h", WriteStructsHeader, context);
    Write(*file, ".plain.cc", WriteStructsSource, context);
    Write(*file, ".convert.h", WriteConversionsHeader, context);
    Write(*file, ".convert.cc", WriteConversionsSource, context);
    return true;
  }

 private:
  using Writer = void (*)(const FileDescriptor&, Printer*);

  static void Write(const FileDescriptor& file, const std::string& suffix, Writer writer, GeneratorContext* context) {
    const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> stream(context->Open(Stem(file) + suffix));
    Printer printer(stream.get(), '$');
    writer(file, &printer);
  }
};

}  // namespace
}  // namespace vigil::plain_generator

int main(int argc, char* argv[]) {
  const vigil::plain_generator::PlainGenerator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
