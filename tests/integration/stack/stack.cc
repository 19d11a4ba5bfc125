#include "integration/stack/stack.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <ostream>
#include <stdexcept>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "platform/crypto/random.h"
#include "platform/crypto/token.h"
#include "platform/http/fetch.h"
#include "platform/log/nats_log.h"
#include "supervisor/layout.h"
#include "supervisor/ports.h"

namespace vigil::stack {
namespace {

constexpr absl::Duration kStartPatience = absl::Seconds(60);
constexpr absl::Duration kPollInterval = absl::Milliseconds(10);

std::string Programs() {
  const char* chosen = std::getenv("VIGIL_BIN");
  return chosen != nullptr && *chosen != '\0' ? chosen : VIGIL_PROGRAMS;
}

// Below the range from which the system gives ports to clients.
int FreePorts() {
  constexpr int kFirst = 20000;
  constexpr int kCount = 12000;
  constexpr int kStep = installation::kLastPortOffset + 1;
  for (int attempt = 0; attempt < 400; ++attempt) {
    const int base = kFirst + ((getpid() * 11 + attempt) * kStep) % kCount;
    bool free = true;
    for (int offset = 0; free && offset <= installation::kLastPortOffset; ++offset)
      free = installation::CheckPortFree(base + offset).ok();
    if (free) return base;
  }
  throw std::runtime_error("no free ports");
}

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

bool Eventually(absl::Duration patience, const std::function<bool()>& holds) {
  const absl::Time end = absl::Now() + patience;
  while (!holds()) {
    if (absl::Now() > end) return false;
    absl::SleepFor(kPollInterval);
  }
  return true;
}

const Person& School::Staff(std::string_view name) const {
  const std::string wanted = absl::StrCat(id, "-", View(name));
  const auto it = std::find_if(staff.begin(), staff.end(), [&](const Person& person) { return person.id == wanted; });
  if (it == staff.end()) throw std::runtime_error("the sample has no " + wanted);
  return *it;
}

std::vector<Guardian> School::GuardiansOf(const std::string& student) const {
  std::vector<Guardian> theirs;
  std::copy_if(guardians.begin(), guardians.end(), std::back_inserter(theirs),
               [&](const Guardian& g) { return g.student == student; });
  return theirs;
}

int School::partition() const { return Sha256(id)[0] >> 4; }

std::vector<std::string> Answer::Fields() const {
  std::vector<std::string> fields;
  if (!body.is_object() || !body.contains("errors")) return fields;
  for (const json& error : body["errors"]) fields.push_back(error.value("field", "?"));
  return fields;
}

std::ostream& operator<<(std::ostream& out, const Answer& answer) {
  return out << "status " << answer.status << " after " << absl::FormatDuration(answer.took) << ": "
             << answer.text.substr(0, 1500);
}

Stack::Stack(const StackOptions& options) : options_(options), home_(directory_.path() + "/home"), port_(FreePorts()) {
  for (const char* name :
       {"VIGIL_SANDBOX_URL", "VIGIL_SANDBOX_URL_2", "VIGIL_SANDBOX_SECRET", "VIGIL_HOME", "VIGIL_PORT", "VIGIL_TOKEN"})
    unsetenv(name);
  if (!options_.second_provider.empty()) setenv("VIGIL_SANDBOX_URL_2", options_.second_provider.c_str(), 1);
  std::string arguments = absl::StrCat("init --port ", port_);
  if (options_.speed) absl::StrAppend(&arguments, " --rehearsal --speed ", *options_.speed);
  Outcome made = Installation(arguments);
  // Where the file system has no synchronous writes, the same without them.
  if (made.exit_code != 0) made = Installation(arguments + " --not-durable");
  if (made.exit_code != 0) throw std::runtime_error("init: " + made.out + made.err);
  Up();
  const Outcome sample =
      Vigil(absl::StrCat("sample --json --schools ", options_.schools, " --students ", options_.students, " --seed 1"));
  const json parsed = json::parse(sample.out, nullptr, false);
  if (sample.exit_code != 0 || !parsed.is_object()) throw std::runtime_error("sample: " + sample.out + sample.err);
  for (const json& one : parsed.at("schools")) {
    School school{.id = one.at("id"),
                  .token = one.at("token"),
                  .leader_phone = one.at("leader_phone"),
                  .students = one.at("students")};
    for (const json& person : one.at("staff"))
      school.staff.push_back({person.at("id"), person.at("role"), person.at("phone"), person.at("token")});
    for (const json& guardian : one.at("guardians"))
      school.guardians.push_back({guardian.at("id"), guardian.at("student"), guardian.at("phone")});
    schools_.push_back(std::move(school));
  }
}

Stack::~Stack() { Down(); }

void Stack::Up() { UpWithin(kStartPatience); }

void Stack::UpWithin(absl::Duration patience) {
  std::vector<std::string> command = {
      Programs() + "/vigil-installation", "run", "--foreground", "--home", home_, "--pack", VIGIL_PACK};
  if (!options_.restart_brokers) command.push_back("--no-restart-brokers");
  supervisor_ = std::make_unique<testing::ChildProcess>(command, directory_.path() + "/supervisor.log");
  AwaitReady(patience);
  admin_ = Variable("VIGIL_ADMIN_TOKEN");
  url_ = Variable("VIGIL_URL");
  ca_ = Variable("VIGIL_CA");
}

void Stack::AwaitReady(absl::Duration patience) {
  const absl::Time end = absl::Now() + patience;
  for (;;) {
    const Outcome ready = Installation("wait --seconds 2");
    if (ready.exit_code == 0) return;
    if (!supervisor_->alive() || absl::Now() > end) {
      throw std::runtime_error("not ready: " + ready.err + testing::ReadFile(directory_.path() + "/supervisor.log"));
    }
  }
}

void Stack::Down() {
  if (supervisor_ == nullptr) return;
  supervisor_->Signal(SIGTERM);
  supervisor_->Wait();
  supervisor_.reset();
}

std::string Stack::Variable(const std::string& name) const {
  const std::string text = testing::ReadFile(home_ + "/env");
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<std::string, std::string> word = absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (word.first == name) return word.second;  // words stay plain: nothing here needs quotes
  }
  return "";
}

pid_t Stack::Pid(const std::string& name) const {
  int pid = 0;
  return absl::SimpleAtoi(Variable("VIGIL_PID_" + name), &pid) ? pid : 0;
}

// ------------------------------------------------------------------------------------------------ HTTP

Answer Stack::Send(const Request& request) const {
  FetchRequest fetch{
      .method = request.method, .url = url_ + request.path, .headers = request.headers, .body = request.body};
  fetch.ca_file = ca_;
  fetch.bearer_token = request.token;
  fetch.timeout = request.timeout;
  const absl::Time start = absl::Now();
  absl::StatusOr<HttpResponse> response = Fetch(fetch);
  Answer answer;
  answer.took = absl::Now() - start;
  if (!response.ok()) {
    answer.text = response.status().ToString();
    return answer;
  }
  answer.status = response->status;
  answer.headers = std::move(response->headers);
  answer.text = std::move(response->body);
  answer.body = json::parse(answer.text, nullptr, false);
  if (answer.body.is_discarded()) answer.body = nullptr;
  return answer;
}

Answer Stack::Get(const std::string& path, const std::string& token) const {
  return Send({.path = path, .token = token.empty() ? admin_ : token});
}

Answer Stack::Post(const std::string& path, const json& body, const std::string& token,
                   const std::string& idempotency_key) const {
  Request request{.method = "POST", .path = path, .token = token.empty() ? admin_ : token, .body = body.dump()};
  request.headers.Add("Content-Type", "application/json");
  if (!idempotency_key.empty()) request.headers.Add("Idempotency-Key", idempotency_key);
  return Send(request);
}

Answer Stack::Put(const std::string& path, const json& body, const std::string& token) const {
  Request request{.method = "PUT", .path = path, .token = token.empty() ? admin_ : token, .body = body.dump()};
  request.headers.Add("Content-Type", "application/json");
  return Send(request);
}

Answer Stack::Command(const std::string& case_id, const std::string& command, const json& body,
                      const std::string& token, const std::string& idempotency_key) const {
  return Post("/api/v1/cases/" + case_id + ":" + command, body, token, idempotency_key);
}

Answer Stack::Report(const School& of, const json& report, const std::string& token,
                     const std::string& idempotency_key) const {
  return Post("/api/v1/schools/" + of.id + "/reports", report, token.empty() ? of.token : token, idempotency_key);
}

json Stack::Case(const std::string& case_id) const {
  const Answer answer = Get("/api/v1/cases/" + case_id);
  if (answer.status != 200) throw std::runtime_error("case " + case_id + ": " + answer.text);
  return answer.body;
}

std::string Stack::Metrics(const std::string& service) const {
  const absl::StatusOr<HttpResponse> response = Fetch({.url = Variable("VIGIL_METRICS_" + service)});
  return response.ok() ? response->body : "";
}

double Stack::Metric(const std::string& service, std::string_view name) const {
  double sum = 0;
  const std::string text = Metrics(service);
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, View(name)) || line.size() == name.size()) continue;
    if (const char next = line[name.size()]; next != ' ' && next != '{') continue;
    double value = 0;
    if (absl::SimpleAtod(line.substr(line.rfind(' ') + 1), &value)) sum += value;
  }
  return sum;
}

// ------------------------------------------------------------------------------------------------ time

absl::Time Stack::DomainNow() const { return TimeOf(Get("/api/v1/clock").body.at("now_time")); }

void Stack::SetSpeed(double speed) const {
  const Answer set = Put("/api/v1/clock", {{"speed", speed}});
  if (!set.ok()) throw std::runtime_error("clock: " + set.text);
}

// ------------------------------------------------------------------------------------------------ phones

json Stack::Received(const std::string& phone) const {
  const absl::StatusOr<HttpResponse> response = Fetch({.url = Variable("VIGIL_SANDBOX_URL") + "/v1/phones/" + phone});
  if (!response.ok() || response->status != 200) throw std::runtime_error("the phone network does not answer");
  return json::parse(response->body).at("received");
}

std::size_t Stack::Count(const std::string& phone, std::string_view kind) const {
  const json received = Received(phone);
  return static_cast<std::size_t>(
      std::count_if(received.begin(), received.end(), [&](const json& one) { return one.at("kind") == kind; }));
}

void Stack::Behave(const std::string& phone, const json& behaviour) const {
  const absl::StatusOr<HttpResponse> response =
      Fetch({.method = "POST",
             .url = Variable("VIGIL_SANDBOX_URL") + "/v1/phones/" + phone + "/behaviour",
             .headers = {{"Content-Type", "application/json"}},
             .body = behaviour.dump()});
  if (!response.ok() || response->status / 100 != 2) throw std::runtime_error("the phone network refused a behaviour");
}

void Stack::Reply(const std::string& phone, const std::string& text) const {
  const absl::StatusOr<HttpResponse> response =
      Fetch({.method = "POST",
             .url = Variable("VIGIL_SANDBOX_URL") + "/v1/phones/" + phone + "/reply",
             .headers = {{"Content-Type", "application/json"}},
             .body = json{{"text", text}}.dump()});
  if (!response.ok() || response->status / 100 != 2) throw std::runtime_error("the phone network refused a reply");
}

// ------------------------------------------------------------------------------------------------ the log

namespace {

NatsOptions NatsOptionsOf(const Stack& stack, const std::string& user) {
  NatsOptions options;
  options.url = stack.Variable("VIGIL_NATS_URL");
  options.name = "stack-test";
  options.ca_file = stack.Variable("VIGIL_NATS_CA");
  options.nkey_seed_file = stack.home() + "/secrets/" + user + ".nkey";
  options.inbox_prefix = "_INBOX_" + user;
  return options;
}

std::unique_ptr<Log> OpenLogOf(const Stack& stack) {
  absl::StatusOr<std::unique_ptr<Log>> log = OpenNatsLog(NatsOptionsOf(stack, "reader"), "reader");
  if (!log.ok()) throw std::runtime_error(log.status().ToString());
  if (!Eventually(absl::Seconds(10), [&] { return (*log)->connected(); }))
    throw std::runtime_error("the log cannot be reached");
  return *std::move(log);
}

}  // namespace

std::uint64_t Stack::LastSequence(int partition) const {
  const std::unique_ptr<Log> log = OpenLogOf(*this);
  const absl::StatusOr<StreamInfo> info = log->Info(partition);
  if (!info.ok()) throw std::runtime_error(info.status().ToString());
  return info->last_sequence;
}

std::vector<LogMessage> Stack::Messages(int partition) const {
  const std::unique_ptr<Log> log = OpenLogOf(*this);
  const absl::StatusOr<StreamInfo> info = log->Info(partition);
  if (!info.ok()) throw std::runtime_error(info.status().ToString());
  std::mutex mutex;
  std::vector<LogMessage> messages;
  auto subscription = log->Follow(partition, 1, [&](LogMessage message) {
    const std::lock_guard lock(mutex);
    messages.push_back(std::move(message));
  });
  if (!subscription.ok()) throw std::runtime_error(subscription.status().ToString());
  const bool all = Eventually(absl::Seconds(20), [&] {
    const std::lock_guard lock(mutex);
    return (messages.empty() ? 0 : messages.back().sequence) >= info->last_sequence;
  });
  subscription->reset();
  if (!all) throw std::runtime_error("the log does not give all of its messages");
  return messages;
}

std::unique_ptr<NatsClient> Stack::Nats(const std::string& user) const {
  absl::StatusOr<std::unique_ptr<NatsClient>> client = NatsClient::Open(NatsOptionsOf(*this, user));
  if (!client.ok()) throw std::runtime_error(client.status().ToString());
  if (!Eventually(absl::Seconds(10), [&] { return (*client)->connected(); }))
    throw std::runtime_error("the broker cannot be reached as " + user);
  return *std::move(client);
}

// ------------------------------------------------------------------------------------------------ tokens and programs

std::string Stack::Token(const std::string& of, const std::string& person, const std::string& role,
                         absl::Duration lifetime) const {
  std::string seed = SecretFile("token.sign");
  while (!seed.empty() && seed.back() == '\n') seed.pop_back();
  const absl::StatusOr<SigningKey> key = SigningKey::FromSeed(HexDecode(seed).value_or(""));
  if (!key.ok()) throw std::runtime_error(key.status().ToString());
  SystemRandom random;
  const absl::Time expires = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now() + lifetime));
  return MintToken(
      *key, {.id = HexEncode(random.Bytes(16)), .school = of, .person = person, .role = role, .expires_time = expires});
}

Outcome Stack::Shell(const std::string& line) const {
  const std::string errors = directory_.path() + "/errors";
  FILE* pipe = popen(absl::StrCat("{ ", line, "\n} 2>", errors).c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("no shell");
  Outcome outcome;
  char buffer[1 << 14];
  for (std::size_t size = fread(buffer, 1, sizeof(buffer), pipe); size > 0;
       size = fread(buffer, 1, sizeof(buffer), pipe))
    outcome.out.append(buffer, size);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  outcome.err = testing::ReadFile(errors);
  return outcome;
}

Outcome Stack::Installation(const std::string& arguments) const {
  return Shell(absl::StrCat(Programs(), "/vigil-installation ", arguments, " --home ", home_));
}

Outcome Stack::Vigil(const std::string& arguments) const {
  return Shell(absl::StrCat(". ", home_, "/env; ", Programs(), "/vigil ", arguments));
}

Outcome Stack::Program(const std::string& name, const std::string& arguments, const std::string& before) const {
  return Shell(absl::StrCat(before, before.empty() ? "" : " ", Programs(), "/", name, " ", arguments));
}

// ------------------------------------------------------------------------------------------------ reading answers

std::string Rfc3339(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone()); }

absl::Time TimeOf(const json& text) {
  absl::Time time;
  if (!text.is_string() || !absl::ParseTime(absl::RFC3339_full, text.get<std::string>(), &time, nullptr)) {
    throw std::runtime_error("not a time: " + text.dump());
  }
  return time;
}

json ClockOf(const json& object, std::string_view kind) {
  json found;
  for (const json& clock : object.at("clocks")) {
    if (clock.at("kind") == kind) found = clock;
  }
  return found;
}

json AlertOf(const json& object, std::string_view ladder) {
  json found;
  for (const json& alert : object.at("alerts")) {
    if (alert.at("ladder") == ladder) found = alert;
  }
  return found;
}

}  // namespace vigil::stack
