#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "platform/rpc/channel.h"
#include "platform/rpc/generic_caller.h"
#include "platform/rpc/problem.h"
#include "platform/rpc/reply.h"
#include "platform/rpc/server.h"
#include "unit/platform/certificates.h"
#include "vigil/echo/v1/echo.grpc.pb.h"

namespace vigil::rpc {
namespace {

constexpr char kEcho[] = "/vigil.echo.v1.EchoService/Echo";
constexpr char kCount[] = "/vigil.echo.v1.EchoService/Count";

class EchoHandler final : public echo::v1::EchoService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context, const echo::v1::EchoRequest* request,
                                 echo::v1::EchoResponse* response) override {
    if (absl::Status peer = RequirePeer(*context, {"gateway"}); !peer.ok()) return ReplyNow(context, peer);
    if (request->hang()) {
      class Hanging : public grpc::ServerUnaryReactor {
        void OnCancel() override { Finish(grpc::Status::CANCELLED); }
        void OnDone() override { delete this; }
      };
      return new Hanging;
    }
    if (!request->refuse_field().empty()) return ReplyNow(context, InvalidField(request->refuse_field(), "unknown"));
    response->set_text(request->text());
    response->set_peer(PeerService(*context));
    response->set_metadata(Metadata(*context, "vigil-test"));
    return ReplyNow(context, absl::OkStatus());
  }

  grpc::ServerWriteReactor<echo::v1::EchoResponse>* Count(grpc::CallbackServerContext*, const echo::v1::CountRequest* request) override {
    class Counting : public grpc::ServerWriteReactor<echo::v1::EchoResponse> {
     public:
      explicit Counting(const echo::v1::CountRequest& request) : left_(request.count()), stay_(request.stay()) { Next(); }
      void OnWriteDone(bool ok) override {
        if (ok) return Next();
        End();
      }
      void OnCancel() override { End(); }
      void OnDone() override { delete this; }

     private:
      void Next() {
        if (left_ > 0) {
          response_.set_text(std::to_string(left_--));
          StartWrite(&response_);
        } else if (!stay_) {
          End();
        }
      }
      void End() {
        std::call_once(ended_, [this] { Finish(grpc::Status::OK); });
      }
      int left_;
      bool stay_;
      std::once_flag ended_;
      echo::v1::EchoResponse response_;
    };
    return new Counting(*request);
  }
};

class RpcTest : public testing::Test {
 protected:
  std::unique_ptr<Server> StartServer(const std::string& listen = "127.0.0.1:0", std::vector<std::string> components = {}) {
    absl::StatusOr<std::unique_ptr<Server>> server =
        Server::Start({.listen = listen, .tls = certificates_.For("intake"), .components = std::move(components)}, {&handler_});
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }

  static std::shared_ptr<grpc::Channel> Channel(int port, const TlsFiles& tls, ChannelOptions options = {}) {
    options.address = "127.0.0.1:" + std::to_string(port);
    options.tls = tls;
    absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = MakeChannel(options);
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *std::move(channel);
  }

  std::shared_ptr<grpc::Channel> Channel(int port) { return Channel(port, certificates_.For("gateway")); }

  static absl::StatusOr<std::string> CallAndWait(GenericCaller& caller, std::string_view path, const std::string& request,
                                                 const MetadataList& metadata = {}, absl::Duration deadline = absl::Seconds(20)) {
    absl::Notification done;
    absl::StatusOr<std::string> answer;
    caller.Call(path, request, metadata, deadline, [&](absl::StatusOr<std::string> response) {
      answer = std::move(response);
      done.Notify();
    });
    done.WaitForNotification();
    return answer;
  }

  static absl::StatusOr<echo::v1::EchoResponse> Echo(GenericCaller& caller, const echo::v1::EchoRequest& request,
                                                     const MetadataList& metadata = {}, absl::Duration deadline = absl::Seconds(20)) {
    const absl::StatusOr<std::string> answer = CallAndWait(caller, kEcho, request.SerializeAsString(), metadata, deadline);
    if (!answer.ok()) return answer.status();
    echo::v1::EchoResponse response;
    EXPECT_TRUE(response.ParseFromString(*answer));
    return response;
  }

  test::Certificates certificates_;
  EchoHandler handler_;
};

TEST_F(RpcTest, AServiceIsKnownByItsCertificate) {
  const auto server = StartServer();
  GenericCaller caller(Channel(server->port()));
  echo::v1::EchoRequest request;
  request.set_text("学生");
  const auto response = Echo(caller, request, {{"vigil-test", "value"}});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->text(), "学生");
  EXPECT_EQ(response->peer(), "gateway");
  EXPECT_EQ(response->metadata(), "value");
}

TEST_F(RpcTest, AnotherServiceIsRefusedWhatIsNotForIt) {
  const auto server = StartServer();
  GenericCaller caller(Channel(server->port(), certificates_.For("audit")));
  EXPECT_EQ(Echo(caller, {}).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(RpcTest, ACertificateOfAnotherAuthorityIsNotLetIn) {
  const auto server = StartServer();
  test::Certificates others;
  TlsFiles tls = others.For("gateway");
  tls.ca = certificates_.For("gateway").ca;
  GenericCaller caller(Channel(server->port(), tls));
  EXPECT_EQ(Echo(caller, {}).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(RpcTest, AServerOfAnotherAuthorityOrNameIsNotSpokenTo) {
  const auto server = StartServer();
  test::Certificates others;
  TlsFiles tls = certificates_.For("gateway");
  GenericCaller right(Channel(server->port(), tls, {.server_name = "intake"}));
  EXPECT_TRUE(Echo(right, {}).ok());
  GenericCaller wrong_name(Channel(server->port(), tls, {.server_name = "audit"}));
  EXPECT_EQ(Echo(wrong_name, {}).status().code(), absl::StatusCode::kUnavailable);
  tls.ca = others.For("x").ca;
  GenericCaller wrong_authority(Channel(server->port(), tls));
  EXPECT_EQ(Echo(wrong_authority, {}).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(RpcTest, AProblemComesThrough) {
  const auto server = StartServer();
  GenericCaller caller(Channel(server->port()));
  echo::v1::EchoRequest request;
  request.set_refuse_field("student.id");
  const absl::Status status = Echo(caller, request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::optional<Problem> problem = ReadProblem(status);
  ASSERT_TRUE(problem.has_value());
  ASSERT_EQ(problem->errors.size(), 1U);
  EXPECT_EQ(problem->errors[0].field, "student.id");
  EXPECT_EQ(problem->errors[0].reason, "unknown");
}

TEST_F(RpcTest, ACallEndsAtItsDeadline) {
  const auto server = StartServer();
  GenericCaller caller(Channel(server->port()));
  echo::v1::EchoRequest request;
  request.set_hang(true);
  EXPECT_EQ(Echo(caller, request, {}, absl::Milliseconds(50)).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(RpcTest, ACallWithoutADeadlineEndsAtTheChannelsLimit) {
  const auto server = StartServer();
  GenericCaller caller(Channel(server->port(), certificates_.For("gateway"), {.longest_call = absl::Milliseconds(50)}));
  echo::v1::EchoRequest request;
  request.set_hang(true);
  EXPECT_EQ(Echo(caller, request, {}, absl::InfiniteDuration()).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(RpcTest, CallsThatRunAreCancelledWithTheirCaller) {
  const auto server = StartServer();
  absl::Status status;
  {
    GenericCaller caller(Channel(server->port()));
    echo::v1::EchoRequest request;
    request.set_hang(true);
    caller.Call(kEcho, request.SerializeAsString(), {}, absl::InfiniteDuration(),
                [&](const absl::StatusOr<std::string>& response) { status = response.status(); });
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

TEST_F(RpcTest, NobodyThereIsUnavailableAndNotAWait) {
  int port = 0;
  { port = StartServer()->port(); }
  GenericCaller caller(Channel(port));
  EXPECT_EQ(Echo(caller, {}).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(RpcTest, ARestartedServerIsFoundAgain) {
  auto server = StartServer();
  const int port = server->port();
  GenericCaller caller(Channel(port));
  ASSERT_TRUE(Echo(caller, {}).ok());
  server->Stop(absl::ZeroDuration());
  server.reset();
  EXPECT_EQ(Echo(caller, {}).status().code(), absl::StatusCode::kUnavailable);
  server = StartServer("127.0.0.1:" + std::to_string(port));
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (!Echo(caller, {}).ok()) ASSERT_LT(absl::Now(), give_up);
}

TEST_F(RpcTest, APortThatIsTakenIsAnError) {
  const auto server = StartServer();
  const auto second = Server::Start({.listen = "127.0.0.1:" + std::to_string(server->port()), .tls = certificates_.For("intake")}, {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(RpcTest, MissingOrWrongTlsFilesAreErrorsThatNameThem) {
  TlsFiles tls = certificates_.For("intake");
  tls.key = "/nowhere/intake.key";
  const absl::Status missing = Server::Start({.listen = "127.0.0.1:0", .tls = tls}, {}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), testing::HasSubstr("/nowhere/intake.key"));
  tls.key = "/dev/null";
  EXPECT_EQ(MakeChannel({.address = "127.0.0.1:1", .tls = tls}).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(RpcTest, UnknownMethodsAndWrongPathsAreRefused) {
  const auto server = StartServer();
  GenericCaller caller(Channel(server->port()));
  EXPECT_EQ(CallAndWait(caller, "/vigil.echo.v1.EchoService/Nothing", "").status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(CallAndWait(caller, "Echo", "").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CallAndWait(caller, kEcho, "", {{"vigil-test", std::string(kMaxMetadataBytes, 'x')}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(RpcTest, HealthSaysServingOnlyWhileEverythingIsReady) {
  const auto server = StartServer("127.0.0.1:0", {"log", "snapshot"});
  const auto channel = Channel(server->port());
  const auto health = [&](std::string_view component) { return *ReadHealth(channel, component, absl::Seconds(20)); };
  EXPECT_FALSE(health(""));
  server->SetReady("log", true);
  EXPECT_FALSE(health(""));
  EXPECT_TRUE(health("log"));
  EXPECT_FALSE(health("snapshot"));
  EXPECT_THAT(server->NotReady(), testing::ElementsAre("snapshot"));
  server->SetReady("snapshot", true);
  EXPECT_TRUE(health(""));
  EXPECT_TRUE(server->ready());
  server->SetReady("log", false);
  EXPECT_FALSE(health(""));
  EXPECT_EQ(ReadHealth(channel, "nothing", absl::Seconds(20)).status().code(), absl::StatusCode::kNotFound);
}

class StreamReader {
 public:
  GenericCaller::OnMessage OnMessage(std::size_t limit) {
    return [this, limit](const std::string& bytes) {
      echo::v1::EchoResponse response;
      EXPECT_TRUE(response.ParseFromString(bytes));
      std::lock_guard lock(mutex_);
      texts_.push_back(response.text());
      if (texts_.size() == 1) first.Notify();
      return texts_.size() < limit;
    };
  }
  GenericCaller::OnEnd OnEnd() {
    return [this](absl::Status end) {
      status = std::move(end);
      ended.Notify();
    };
  }
  std::vector<std::string> texts() {
    std::lock_guard lock(mutex_);
    return texts_;
  }
  absl::Notification first;
  absl::Notification ended;
  absl::Status status;

 private:
  std::mutex mutex_;
  std::vector<std::string> texts_;
};

TEST_F(RpcTest, AStreamIsReadInOrderToItsEnd) {
  const auto server = StartServer();
  GenericCaller caller(Channel(server->port()));
  echo::v1::CountRequest request;
  request.set_count(3);
  StreamReader reader;
  caller.Stream(kCount, request.SerializeAsString(), {}, reader.OnMessage(100), reader.OnEnd());
  reader.ended.WaitForNotification();
  EXPECT_TRUE(reader.status.ok()) << reader.status;
  EXPECT_THAT(reader.texts(), testing::ElementsAre("3", "2", "1"));
}

TEST_F(RpcTest, AStreamEndsWhenItsReaderHasEnoughOrCancels) {
  const auto server = StartServer();
  GenericCaller caller(Channel(server->port()));
  echo::v1::CountRequest request;
  request.set_count(3);
  request.set_stay(true);
  StreamReader enough;
  caller.Stream(kCount, request.SerializeAsString(), {}, enough.OnMessage(2), enough.OnEnd());
  enough.ended.WaitForNotification();
  EXPECT_EQ(enough.status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(enough.texts().size(), 2U);

  StreamReader cancelled;
  const GenericCaller::Cancel cancel =
      caller.Stream(kCount, request.SerializeAsString(), {}, cancelled.OnMessage(100), cancelled.OnEnd());
  cancelled.first.WaitForNotification();
  cancel();
  cancelled.ended.WaitForNotification();
  EXPECT_EQ(cancelled.status.code(), absl::StatusCode::kCancelled);
  cancel();
}

TEST_F(RpcTest, OnlyAnEndlessMethodOutlivesTheChannelsLimit) {
  const auto server = StartServer();
  echo::v1::CountRequest request;
  request.set_count(1);
  request.set_stay(true);
  GenericCaller limited(Channel(server->port(), certificates_.For("gateway"), {.longest_call = absl::Milliseconds(300)}));
  GenericCaller endless(Channel(server->port(), certificates_.For("gateway"),
                                {.longest_call = absl::Milliseconds(300), .endless_methods = {"vigil.echo.v1.EchoService/Count"}}));
  StreamReader long_one;
  const GenericCaller::Cancel cancel =
      endless.Stream(kCount, request.SerializeAsString(), {}, long_one.OnMessage(100), long_one.OnEnd());
  long_one.first.WaitForNotification();
  StreamReader short_one;
  limited.Stream(kCount, request.SerializeAsString(), {}, short_one.OnMessage(100), short_one.OnEnd());
  short_one.ended.WaitForNotification();
  EXPECT_EQ(short_one.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(long_one.ended.HasBeenNotified());
  cancel();
  long_one.ended.WaitForNotification();
}

}  // namespace
}  // namespace vigil::rpc
