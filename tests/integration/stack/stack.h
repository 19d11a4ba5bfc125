// A whole installation for a test: the shipped programs as processes, real NATS, Redis, TLS and phone network, in a
// home and on ports of its own, with sample schools. Everything ends with the object, and with the test program should
// that be killed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "platform/crypto/sign.h"
#include "platform/http/message.h"
#include "platform/log/log.h"
#include "platform/log/nats_client.h"
#include "support/child_process.h"

namespace vigil::stack {

using nlohmann::json;

// What the services are called in $VIGIL_HOME/env.
inline constexpr const char* kServices[] = {"INTAKE",       "RISK_RULES", "ESCALATION_TIMER",
                                            "NOTIFICATION", "AUDIT",      "GATEWAY"};

// Whether `holds` became true within `patience` of real time.
bool Eventually(absl::Duration patience, const std::function<bool()>& holds);

struct Person {
  std::string id;
  std::string role;
  std::string phone;
  std::string token;
};

struct Guardian {
  std::string id;
  std::string student;
  std::string phone;
};

// A school as `vigil sample` printed it.
struct School {
  std::string id;
  std::string token;  // may report
  std::string leader_phone;
  std::vector<std::string> students;
  std::vector<Person> staff;
  std::vector<Guardian> guardians;

  // By the end of the id: Staff("leader") is "s-1-0001-leader". Throws if there is none.
  const Person& Staff(std::string_view name) const;
  std::vector<Guardian> GuardiansOf(const std::string& student) const;
  int partition() const;
};

struct Answer {
  int status = 0;  // 0: no answer at all; `text` says why
  HttpHeaders headers;
  std::string text;
  json body;  // null unless it is JSON
  absl::Duration took;

  bool ok() const { return status / 100 == 2; }
  std::string Header(std::string_view name) const { return std::string(headers.Find(name).value_or("")); }
  // The fields that a problem names.
  std::vector<std::string> Fields() const;
};

// For a failed expectation.
std::ostream& operator<<(std::ostream& out, const Answer& answer);

struct Request {
  std::string method = "GET";
  std::string path;
  std::string token;
  std::string body;  // sent as it is
  HttpHeaders headers;
  absl::Duration timeout = absl::Seconds(30);
};

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

struct StackOptions {
  std::optional<double> speed;  // a rehearsal's; none: an installation for use
  bool restart_brokers = true;
  int schools = 1;
  int students = 12;
  std::string second_provider;  // its URL; empty: none
};

class Stack {
 public:
  // Starts everything and loads the sample. Throws std::runtime_error with the reason.
  explicit Stack(const StackOptions& options = {});
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // `deploy/local/down` and `up`, without the building.
  void Down();
  void Up();
  // Up, with another patience than a minute; throws when it is not ready by then (it runs all the same).
  void UpWithin(absl::Duration patience);
  // Waits until every service is ready; throws after a minute.
  void AwaitReady() { AwaitReady(absl::Minutes(1)); }
  void AwaitReady(absl::Duration patience);

  const std::string& home() const { return home_; }
  const std::vector<School>& schools() const { return schools_; }
  const School& school() const { return schools_.front(); }

  // $VIGIL_HOME/env as it is now.
  std::string Variable(const std::string& name) const;
  pid_t Pid(const std::string& name) const;
  const std::string& admin() const { return admin_; }

  // ---- HTTP
  Answer Send(const Request& request) const;
  Answer Get(const std::string& path, const std::string& token = "") const;  // without: the administrator's
  Answer Post(const std::string& path, const json& body, const std::string& token = "",
              const std::string& idempotency_key = "") const;
  Answer Put(const std::string& path, const json& body, const std::string& token = "") const;
  // POST /api/v1/cases/<case>:<command>
  Answer Command(const std::string& case_id, const std::string& command, const json& body,
                 const std::string& token = "", const std::string& idempotency_key = "") const;
  Answer Report(const School& school, const json& report, const std::string& token = "",
                const std::string& idempotency_key = "") const;
  json Case(const std::string& case_id) const;  // throws unless 200
  std::string Metrics(const std::string& service) const;
  // The sum over all labels; 0 if it is not there.
  double Metric(const std::string& service, std::string_view name) const;

  // ---- time
  absl::Time DomainNow() const;
  void SetSpeed(double speed) const;

  // ---- phones
  // What a phone has received: [{id, kind, time, text, events}].
  json Received(const std::string& phone) const;
  std::size_t Count(const std::string& phone, std::string_view kind) const;
  void Behave(const std::string& phone, const json& behaviour) const;
  void Reply(const std::string& phone, const std::string& text) const;

  // ---- the log
  std::uint64_t LastSequence(int partition) const;
  std::vector<LogMessage> Messages(int partition) const;
  // A client of the broker as a user of the installation ("intake", "reader", …).
  std::unique_ptr<NatsClient> Nats(const std::string& user) const;

  // ---- tokens and programs
  std::string Token(const std::string& school, const std::string& person, const std::string& role,
                    absl::Duration lifetime = absl::Hours(1)) const;
  std::string SecretFile(const std::string& name) const { return testing::ReadFile(home_ + "/secrets/" + name); }
  // The command line, in a shell that has read env.
  Outcome Vigil(const std::string& arguments) const;
  // A program of ours in a shell that knows of no installation; `before` is put before the command (timeout …).
  Outcome Program(const std::string& name, const std::string& arguments, const std::string& before = "") const;
  int port() const { return port_; }
  std::string LogText(const std::string& service) const {
    return testing::ReadFile(home_ + "/logs/" + service + ".log");
  }

 private:
  Outcome Shell(const std::string& line) const;
  Outcome Installation(const std::string& arguments) const;

  const StackOptions options_;
  testing::TemporaryDirectory directory_;
  std::string home_;
  int port_ = 0;
  std::unique_ptr<testing::ChildProcess> supervisor_;
  std::string admin_;
  std::string url_;
  std::string ca_;
  std::vector<School> schools_;
};

// RFC 3339.
std::string Rfc3339(absl::Time time);
absl::Time TimeOf(const json& text);
// The clock of a kind, of a case's JSON or of /clocks; null if there is none. The last, where there are several.
json ClockOf(const json& object, std::string_view kind);
json AlertOf(const json& object, std::string_view ladder);

}  // namespace vigil::stack
