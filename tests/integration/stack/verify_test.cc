// The ledger and the log under somebody's hand: what is changed is found and named, what is forged is skipped and told,
// and work goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nats/nats.h>
#include <sqlite3.h>

#include <map>
#include <mutex>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "integration/stack/stack.h"
#include "machine/batch_codec.h"
#include "platform/crypto/nkey.h"
#include "platform/crypto/random.h"
#include "platform/http/fetch.h"
#include "platform/http/server.h"

namespace vigil::stack {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// A gateway in between that can change what passes.
class Between {
 public:
  using Change = std::function<void(const std::string& target, HttpResponse& response)>;

  explicit Between(const Stack& stack) : url_(stack.Variable("VIGIL_URL")), ca_(stack.Variable("VIGIL_CA")) {
    auto server = HttpServer::Start({}, [this](HttpRequest request, const std::shared_ptr<HttpResponder>& responder) {
      FetchRequest fetch{.method = request.method, .url = url_ + request.target, .ca_file = ca_};
      fetch.headers.Add("Authorization", std::string(request.Header("Authorization").value_or("")));
      absl::StatusOr<HttpResponse> response = Fetch(fetch);
      if (!response.ok()) return responder->Send({502, {}, response.status().ToString()});
      HttpResponse answer{response->status,
                          {{"Content-Type", std::string(response->headers.Find("Content-Type").value_or(""))}},
                          response->body};
      const std::lock_guard lock(mutex_);
      if (change_) change_(request.target, answer);
      responder->Send(std::move(answer));
    });
    if (!server.ok()) throw std::runtime_error(server.status().ToString());
    server_ = *std::move(server);
  }
  ~Between() { server_->Stop(); }

  std::string url() const { return absl::StrCat("http://127.0.0.1:", server_->port()); }
  void Set(Change change) {
    const std::lock_guard lock(mutex_);
    change_ = std::move(change);
  }

 private:
  const std::string url_;
  const std::string ca_;
  std::mutex mutex_;
  Change change_;
  std::unique_ptr<HttpServer> server_;
};

class VerifyTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    stack_ = std::make_unique<Stack>();
    for (int i = 0; i < 4; ++i) {
      ASSERT_EQ(stack_
                    ->Report(Own(), {{"student", {{"id", Own().students[static_cast<std::size_t>(i)]}}},
                                     {"factors", {"H2"}},
                                     {"narrative", "n"}})
                    .status,
                201);
    }
  }
  static void TearDownTestSuite() { stack_.reset(); }

  static const School& Own() { return stack_->school(); }
  static int Partition() { return Own().partition(); }

  static json Verify(const std::string& before = "") {
    // In a shell that has read env, so what stands before the command wins.
    const Outcome outcome = before.empty() ? stack_->Vigil("verify --json")
                                           : stack_->Vigil("--help >/dev/null; " + before + " vigil verify --json");
    json result = json::parse(outcome.out, nullptr, false);
    if (!result.is_object()) result = json::object();
    result["exit_code"] = outcome.exit_code;
    result["stderr"] = outcome.err;
    return result;
  }
  static json OfPartition(const json& verified) {
    for (const json& one : verified.value("partitions", json::array())) {
      if (one.at("partition") == Partition()) return one;
    }
    return json::object();
  }

  static std::unique_ptr<Stack> stack_;
};

std::unique_ptr<Stack> VerifyTest::stack_;

TEST_F(VerifyTest, AnHonestLedgerVerifies) {
  const json verified = Verify();
  EXPECT_EQ(verified.at("exit_code"), 0) << verified;
  EXPECT_EQ(verified.at("verified"), true);
  EXPECT_THAT(verified.at("partitions"), SizeIs(16));
  EXPECT_TRUE(OfPartition(verified).at("difference").is_null()) << verified;
  EXPECT_EQ(OfPartition(verified).at("skipped"), 0);
  EXPECT_GT(OfPartition(verified).at("commits").get<int>(), 4);
}

TEST_F(VerifyTest, WhatIsServedChangedOnTheWayIsFound) {
  Between between(*stack_);
  const std::string through = "VIGIL_URL=" + between.url();
  ASSERT_EQ(Verify(through).at("exit_code"), 0) << "unchanged, all is well";
  const std::string checkpoint = absl::StrCat("/api/v1/audit/checkpoint?partition=", Partition());
  const std::string entries = absl::StrCat("/api/v1/audit/entries/", Partition(), "?");
  const auto line = [](const std::string& text, int number) {
    std::size_t start = 0;
    while (number-- > 0) start = text.find('\n', start) + 1;
    return std::pair(start, text.find('\n', start) - start);
  };
  const auto other_letter = [](std::string& text, std::size_t at) { text[at] = text[at] == 'A' ? 'B' : 'A'; };
  const std::map<std::string, Between::Change> changes = {
      {"another root",
       [&](const std::string& target, HttpResponse& r) {
         if (target == checkpoint) other_letter(r.body, line(r.body, 2).first + 3);
       }},
      {"another size",
       [&](const std::string& target, HttpResponse& r) {
         if (target != checkpoint) return;
         const auto [start, length] = line(r.body, 1);
         r.body.replace(start, length, "3");
       }},
      {"another signature",
       [&](const std::string& target, HttpResponse& r) {
         if (target == checkpoint) other_letter(r.body, r.body.size() - 12);
       }},
      {"another partition's",
       [&](const std::string& target, HttpResponse& r) {
         if (target == checkpoint)
           r.body = stack_->Get(absl::StrCat("/api/v1/audit/checkpoint?partition=", (Partition() + 1) % 16)).text;
       }},
      {"no checkpoint at all",
       [&](const std::string& target, HttpResponse& r) {
         if (target == checkpoint) r.body = "sorry\n";
       }},
      {"another commit",
       [&](const std::string& target, HttpResponse& r) {
         if (!absl::StartsWith(target, entries)) return;
         json page = json::parse(r.body);
         std::string commit = page["entries"][2]["commit"];
         other_letter(commit, commit.size() / 2);
         page["entries"][2]["commit"] = commit;
         r.body = page.dump();
       }},
      {"one commit less",
       [&](const std::string& target, HttpResponse& r) {
         if (!absl::StartsWith(target, entries)) return;
         json page = json::parse(r.body);
         page["entries"].erase(2);
         r.body = page.dump();
       }},
      {"two exchanged",
       [&](const std::string& target, HttpResponse& r) {
         if (!absl::StartsWith(target, entries)) return;
         json page = json::parse(r.body);
         std::swap(page["entries"][1], page["entries"][2]);
         r.body = page.dump();
       }},
  };
  for (const auto& [what, change] : changes) {
    between.Set(change);
    const json verified = Verify(through);
    EXPECT_EQ(verified.at("exit_code"), 1) << what << ": " << verified;
    if (verified.contains("partitions")) {
      EXPECT_EQ(verified.at("verified"), false) << what;
      EXPECT_FALSE(OfPartition(verified).at("difference").is_null()) << what << ": " << verified;
    }
  }
}

TEST_F(VerifyTest, ForgedMessagesAreSkippedByAllReadersAndTheWriterGoesOn) {
  const std::vector<LogMessage> messages = stack_->Messages(Partition());
  const LogMessage* genuine = nullptr;
  for (const LogMessage& message : messages) {
    if (message.source == "intake") genuine = &message;
  }
  ASSERT_NE(genuine, nullptr);
  const json before = stack_->Get("/api/v1/schools/" + Own().id + "/cases").body;
  std::map<std::string, double> refused_before;
  for (const char* service : {"INTAKE", "RISK_RULES", "ESCALATION_TIMER", "NOTIFICATION", "AUDIT"}) {
    refused_before[service] = stack_->Metric(service, "vigil_machine_refused_messages_total");
  }
  SystemRandom random;
  const SigningKey own_key = SigningKey::Generate(random);
  const absl::StatusOr<DecodedBatch> decoded = DecodeOwnBatch(genuine->body);
  ASSERT_TRUE(decoded.ok());
  const std::vector<std::string> forged = {
      "not a batch",
      genuine->body,  // replayed
      EncodeBatch(Partition(), "intake", BatchHash(genuine->body), decoded->commits,
                  own_key),  // signed by somebody else
      std::string(500'000, '\x7f'),
  };
  // Somebody has the broker's key of intake, but not the key that intake signs with.
  const std::unique_ptr<NatsClient> intruder = stack_->Nats("intake");
  for (const std::string& body : forged) {
    const NatsClient::Reply stored = intruder->Call(SubjectName(Partition(), "intake"), body);
    ASSERT_TRUE(stored.ok()) << stored.status();
    ASSERT_THAT(*stored, HasSubstr("seq"));
    // The writer had taken another sequence for granted; it finds its place again.
    const Answer report = stack_->Report(Own(), {{"student", {{"id", Own().students[5]}}}, {"factors", {"H2"}}});
    ASSERT_EQ(report.status, 201) << report;
  }
  for (const auto& [service, count] : refused_before) {
    EXPECT_TRUE(Eventually(
        absl::Seconds(5),
        [&, s = service, n = count] { return stack_->Metric(s, "vigil_machine_refused_messages_total") >= n + 4; }))
        << service << " notices each";
  }
  EXPECT_THAT(stack_->LogText("intake"), HasSubstr("forged"));
  EXPECT_THAT(stack_->LogText("audit"), HasSubstr("forged"));
  // Only what was done on purpose has changed.
  json after = stack_->Get("/api/v1/schools/" + Own().id + "/cases").body;
  ASSERT_EQ(after.at("cases").size(), before.at("cases").size() + 1);
  after.at("cases").erase(0);
  EXPECT_EQ(after.at("cases"), before.at("cases"));
  const json verified = Verify();
  EXPECT_EQ(verified.at("exit_code"), 0) << verified;
  EXPECT_EQ(OfPartition(verified).at("skipped"), 4);
}

// The broker's own way round its permissions: who may ask it something can have the answer stored under our subject.
TEST_F(VerifyTest, AnAnswerOfTheBrokersPutIntoOurStreamIsSkipped) {
  const std::uint64_t before = stack_->LastSequence(Partition());
  const double refused = stack_->Metric("INTAKE", "vigil_machine_refused_messages_total");
  const std::string seed_file = stack_->home() + "/secrets/reader.nkey";
  const absl::StatusOr<SigningKey> key = DecodeNkeySeed(testing::ReadFile(seed_file));
  ASSERT_TRUE(key.ok()) << key.status();
  natsOptions* options = nullptr;
  ASSERT_EQ(natsOptions_Create(&options), NATS_OK);
  ASSERT_EQ(natsOptions_SetURL(options, stack_->Variable("VIGIL_NATS_URL").c_str()), NATS_OK);
  ASSERT_EQ(natsOptions_SetSecure(options, true), NATS_OK);
  ASSERT_EQ(natsOptions_LoadCATrustedCertificates(options, stack_->Variable("VIGIL_NATS_CA").c_str()), NATS_OK);
  ASSERT_EQ(natsOptions_SetExpectedHostname(options, "localhost"), NATS_OK);
  ASSERT_EQ(natsOptions_SetNKeyFromSeed(options, EncodeNkeyPublic(key->verify_key()).c_str(), seed_file.c_str()),
            NATS_OK);
  natsConnection* connection = nullptr;
  // Now and then nats.c is refused once for its signature; the services' own client tries again, and so does this.
  ASSERT_TRUE(Eventually(absl::Seconds(5), [&] { return natsConnection_Connect(&connection, options) == NATS_OK; }));
  const std::string asked = "$JS.API.STREAM.INFO." + StreamName(Partition());
  EXPECT_EQ(
      natsConnection_PublishRequestString(connection, asked.c_str(), SubjectName(Partition(), "intake").c_str(), ""),
      NATS_OK);
  EXPECT_EQ(natsConnection_FlushTimeout(connection, 5000), NATS_OK);
  natsConnection_Destroy(connection);
  natsOptions_Destroy(options);
  // Whether this broker lets it through or not, a report is taken and whatever came is not believed.
  const bool stored = Eventually(absl::Seconds(2), [&] { return stack_->LastSequence(Partition()) > before; });
  const Answer report = stack_->Report(Own(), {{"student", {{"id", Own().students[6]}}}, {"factors", {"H2"}}});
  EXPECT_EQ(report.status, 201) << report;
  if (stored) {
    EXPECT_TRUE(Eventually(absl::Seconds(5),
                           [&] { return stack_->Metric("INTAKE", "vigil_machine_refused_messages_total") > refused; }));
  }
  EXPECT_EQ(Verify().at("exit_code"), 0);
}

TEST_F(VerifyTest, AfterARestartForgedMessagesAreStillSkipped) {
  const json before = stack_->Get("/api/v1/schools/" + Own().id + "/cases").body;
  stack_->Down();
  stack_->Up();
  EXPECT_EQ(stack_->Get("/api/v1/schools/" + Own().id + "/cases").body, before);
  EXPECT_EQ(Verify().at("exit_code"), 0);
}

// Last: it leaves the ledger altered.
TEST_F(VerifyTest, ZOneByteOfTheLedgersFileIsFoundAndNamed) {
  stack_->Down();
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((stack_->home() + "/data/audit/ledger/ledger.db").c_str(), &database), SQLITE_OK);
  sqlite3_stmt* read = nullptr;
  ASSERT_EQ(
      sqlite3_prepare_v2(database, "SELECT position, bytes, sequence FROM entries WHERE school = ?1 ORDER BY position",
                         -1, &read, nullptr),
      SQLITE_OK)
      << sqlite3_errmsg(database);
  const std::string school = Own().id;
  sqlite3_bind_text(read, 1, school.data(), static_cast<int>(school.size()), SQLITE_STATIC);
  std::int64_t row = -1;
  std::string bytes;
  std::int64_t sequence = 0;
  for (int i = 0; i < 4 && sqlite3_step(read) == SQLITE_ROW; ++i) {
    row = sqlite3_column_int64(read, 0);
    bytes.assign(static_cast<const char*>(sqlite3_column_blob(read, 1)),
                 static_cast<std::size_t>(sqlite3_column_bytes(read, 1)));
    sequence = sqlite3_column_int64(read, 2);
  }
  sqlite3_finalize(read);
  ASSERT_GE(row, 0);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  sqlite3_stmt* write = nullptr;
  ASSERT_EQ(sqlite3_prepare_v2(database, "UPDATE entries SET bytes = ?1 WHERE position = ?2", -1, &write, nullptr),
            SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_bind_blob(write, 1, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
  sqlite3_bind_int64(write, 2, row);
  ASSERT_EQ(sqlite3_step(write), SQLITE_DONE);
  sqlite3_finalize(write);
  ASSERT_EQ(sqlite3_changes(database), 1);
  sqlite3_close(database);
  stack_->Up();

  const json verified = Verify();
  EXPECT_EQ(verified.at("exit_code"), 1) << verified;
  ASSERT_TRUE(OfPartition(verified).contains("difference")) << verified;
  EXPECT_THAT(OfPartition(verified).at("difference").dump(), HasSubstr(absl::StrFormat("%02d", Partition())));
  EXPECT_THAT(OfPartition(verified).at("difference").dump(), HasSubstr(absl::StrCat("sequence ", sequence)));
}

}  // namespace
}  // namespace vigil::stack
