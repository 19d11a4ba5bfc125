// RELIABILITY.md, test 18, between services: each certificate of the installation against each method. (Users of the broker against subjects
// and its API: tests/integration/installation/permissions_test.cc. Roles against commands: tests/integration/stack/access_test.cc.)
#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <future>

#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "chaos/nemesis.h"
#include "platform/rpc/channel.h"
#include "platform/rpc/generic_caller.h"
#include "vigil/audit/v1/audit.pb.h"
#include "vigil/intake/v1/break_glass.pb.h"
#include "vigil/intake/v1/intake.pb.h"
#include "vigil/notification/v1/notification.pb.h"

namespace vigil::chaos {
namespace {

struct Surface {
  const google::protobuf::ServiceDescriptor* service;
  std::string process;              // VIGIL_GRPC_…
  std::set<std::string> allowed;    // for methods not named below
  std::map<std::string, std::set<std::string>> by_method = {};
};

std::vector<Surface> Surfaces() {
  const auto of = [](const google::protobuf::Descriptor* message, int i) { return message->file()->service(i); };
  return {
      {of(intake::v1::Case::descriptor(), 0), "INTAKE", {"gateway", "operator"}},
      {of(intake::v1::ReceiveBreakGlassCallbackRequest::descriptor(), 0), "INTAKE", {"gateway"}},
      {of(audit::v1::TimelineRow::descriptor(), 0), "AUDIT", {"gateway", "operator"}},
      {of(notification::v1::ReceiveCallbackRequest::descriptor(), 0), "NOTIFICATION", {}, {{"ReceiveCallback", {"gateway"}}, {"RingBreakGlass", {"intake"}}}},
  };
}

TEST(PermissionsChaosTest, OnlyWhomAMethodIsForMayCallIt) {
  Nemesis nemesis({.students = 3});
  Stack& stack = nemesis.stack();
  const std::vector<std::string> peers = {"intake", "risk-rules", "escalation-timer", "notification", "audit", "gateway", "operator"};
  int asked = 0;
  int refused = 0;
  for (const std::string& peer : peers) {
    for (const Surface& surface : Surfaces()) {
      auto channel = rpc::MakeChannel({.address = stack.Variable("VIGIL_GRPC_" + surface.process),
                                       .tls = {.ca = stack.Variable("VIGIL_CA"),
                                               .certificate = stack.home() + "/secrets/" + peer + ".crt",
                                               .key = stack.home() + "/secrets/" + peer + ".key"}});
      ASSERT_TRUE(channel.ok()) << channel.status();
      rpc::GenericCaller caller(*channel);
      for (int i = 0; i < surface.service->method_count(); ++i) {
        const google::protobuf::MethodDescriptor* method = surface.service->method(i);
        if (method->server_streaming()) continue;  // below
        const auto named = surface.by_method.find(method->name());
        const bool may = (named == surface.by_method.end() ? surface.allowed : named->second).contains(peer);
        std::promise<absl::Status> answered;
        caller.Call(absl::StrCat("/", surface.service->full_name(), "/", method->name()), "", {}, absl::Seconds(5),
                    [&](absl::StatusOr<std::string> answer) { answered.set_value(answer.status()); });
        const absl::Status status = answered.get_future().get();
        ++asked;
        // Who may call is refused for what an empty request lacks, if at all; a token is missing, so nobody gets anything.
        const bool as_peer = absl::IsPermissionDenied(status) && absl::StrContains(std::string(status.message()), "this service may not call");
        EXPECT_EQ(as_peer, !may) << peer << " calling " << method->full_name() << ": " << status;
        refused += as_peer ? 1 : 0;
      }
    }
  }
  Figure("calls", absl::StrCat(asked));
  Figure("refused", absl::StrCat(refused));
}

TEST(PermissionsChaosTest, NobodyGetsInWithoutACertificateOfTheInstallation) {
  Nemesis nemesis({.students = 3});
  for (const char* process : {"INTAKE", "RISK_RULES", "ESCALATION_TIMER", "NOTIFICATION", "AUDIT", "GATEWAY"}) {
    const std::string address = nemesis.stack().Variable(absl::StrCat("VIGIL_GRPC_", process));
    for (const auto& credentials : {grpc::InsecureChannelCredentials(), grpc::SslCredentials({testing::ReadFile(nemesis.stack().Variable("VIGIL_CA")), "", ""})}) {
      const auto channel = grpc::CreateChannel(address, credentials);
      EXPECT_FALSE(channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::milliseconds(1500))) << process;
    }
  }
}

}  // namespace
}  // namespace vigil::chaos
