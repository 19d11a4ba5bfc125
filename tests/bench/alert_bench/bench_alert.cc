// Started by tests/bench/alert, which describes it. Progress goes to standard error, the result to standard output.
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "platform/config/settings.h"
#include "platform/http/client.h"
#include "platform/http/fetch.h"
#include "platform/http/server.h"

namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;
using nlohmann::ordered_json;

// How long after the last report a call may still come.
constexpr absl::Duration kGrace = absl::Seconds(10);
constexpr std::size_t kCodeCharacters = 5;
constexpr std::array kServices = {"INTAKE", "RISK_RULES", "ESCALATION_TIMER", "NOTIFICATION", "AUDIT", "GATEWAY", "NATS", "REDIS"};

// The installation is unusable without it: says so and ends.
[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "alert: %s\n", what.c_str());
  std::exit(1);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Fail("cannot read " + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Standard output of a shell command; Fail if it fails.
std::string Run(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) Fail("cannot run " + command);
  std::string output;
  std::array<char, 65536> buffer;
  for (std::size_t read = 0; (read = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), read);
  const int status = pclose(pipe);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) Fail("this failed: " + command);
  return output;
}

// $VIGIL_HOME/env as a shell reads it.
std::map<std::string, std::string> ReadEnvironment(const std::string& home) {
  std::map<std::string, std::string> variables;
  std::istringstream lines(Run(absl::StrCat("bash -c 'set -a; . \"", home, "/env\"; env'")));
  for (std::string line; std::getline(lines, line);) {
    if (const std::size_t equals = line.find('='); equals != std::string::npos) variables[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return variables;
}

std::string Quoted(const std::string& text) { return "'" + text + "'"; }

struct School {
  std::string id;
  std::string token;
  std::vector<std::string> students;
};

struct Report {
  std::size_t school = 0;
  Clock::time_point sent;
  std::atomic<std::int64_t> answered_ns{0};  // after `sent`; 0: not yet
  std::string code;                          // of the case; set before answered_ns
  int status = 0;
};

struct Arrival {
  std::uint32_t school;
  std::array<char, kCodeCharacters> code;
  Clock::time_point time;
};

// The matter's code in what is said or sent: the first five characters in a row that are capital letters or digits and no more.
std::string_view FindCode(std::string_view body) {
  const std::size_t text = body.find("\"text\":\"");
  if (text == std::string_view::npos) return {};
  std::size_t run = 0;
  for (std::size_t i = text + 8; i <= body.size(); ++i) {
    if (i < body.size() && (absl::ascii_isupper(static_cast<unsigned char>(body[i])) || absl::ascii_isdigit(static_cast<unsigned char>(body[i])))) {
      ++run;
      continue;
    }
    if (run == kCodeCharacters) return body.substr(i - run, run);
    run = 0;
  }
  return {};
}

std::string_view FindText(std::string_view body, std::string_view field) {
  const std::string key = absl::StrCat("\"", absl::string_view(field.data(), field.size()), "\":\"");
  const std::size_t at = body.find(key);
  if (at == std::string_view::npos) return {};
  const std::size_t begin = at + key.size();
  return body.substr(begin, body.find('"', begin) - begin);
}

// The telephone network: takes every order and notes when it came.
class PhoneNetwork {
 public:
  PhoneNetwork() {
    auto server = vigil::HttpServer::Start({}, [this](vigil::HttpRequest request, std::shared_ptr<vigil::HttpResponder> responder) {
      Take(request, *responder);
    });
    if (!server.ok()) Fail(std::string(server.status().ToString()));
    server_ = *std::move(server);
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", server_->port()); }
  // Before anything is placed.
  void AddPhone(const std::string& number, std::size_t school) { schools_[number] = static_cast<std::uint32_t>(school); }
  std::vector<Arrival> Stop() {
    server_->Stop();
    return std::move(arrivals_);
  }
  std::uint64_t unmatched() const { return unmatched_; }

 private:
  void Take(const vigil::HttpRequest& request, vigil::HttpResponder& responder) {
    const Clock::time_point now = Clock::now();
    vigil::HttpResponse response;
    response.status = 202;
    response.headers.Add("Content-Type", "application/json");
    response.body = absl::StrCat("{\"id\":\"", std::string(FindText(request.body, "id")), "\"}");
    responder.Send(std::move(response));
    const std::string_view code = FindCode(request.body);
    const auto school = schools_.find(std::string(FindText(request.body, "to")));
    if (code.size() != kCodeCharacters || school == schools_.end()) {
      ++unmatched_;
      return;
    }
    Arrival arrival{.school = school->second, .code = {}, .time = now};
    std::copy(code.begin(), code.end(), arrival.code.begin());
    arrivals_.push_back(arrival);
  }

  // One I/O thread: nothing else touches these until Stop.
  std::unordered_map<std::string, std::uint32_t> schools_;
  std::vector<Arrival> arrivals_;
  std::atomic<std::uint64_t> unmatched_{0};
  std::unique_ptr<vigil::HttpServer> server_;
};

double Milliseconds(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

double Percentile(const std::vector<double>& sorted, double p) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(p * static_cast<double>(sorted.size())))];
}

double Rounded(double value) { return std::round(value * 100) / 100; }

std::int64_t ResidentBytes(const std::string& pid) {
  std::istringstream status(ReadFile("/proc/" + pid + "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtoll(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

double ProcessorSeconds(const std::string& pid) {
  const std::string stat = ReadFile("/proc/" + pid + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

int main(int argc, char** argv) {
  std::string root;
  double rate = 200;
  double seconds = 30;
  double warm_up = 3;
  std::int64_t schools_wanted = 100;
  std::int64_t connections = 64;
  vigil::config::Settings settings("bench_alert", "From a severe report to the first call.");
  settings.Add("root", &root, {.help = "the repository", .kind = vigil::config::Text::kDirectory, .required = true});
  settings.Add("rate", &rate, {.help = "reports", .unit = "1/s", .min = 0.1, .max = 100'000});
  settings.Add("seconds", &seconds, {.help = "how long", .unit = "s", .min = 1, .max = 3600});
  settings.Add("warm_up", &warm_up, {.help = "how long before that, not measured", .unit = "s", .min = 0, .max = 600});
  settings.Add("schools", &schools_wanted, {.help = "schools to report from", .unit = "", .min = 1, .max = 10'000});
  settings.Add("connections", &connections, {.help = "kept alive; a report that finds none free waits, and its time runs", .unit = "", .min = 1, .max = 1000});
  if (const auto code = settings.ParseOrExit(argc, argv)) return *code;
  const char* const home_variable = std::getenv("VIGIL_HOME");
  if (home_variable == nullptr) Fail("VIGIL_HOME is not set");
  const std::string home = home_variable;

  const auto warm_up_reports = static_cast<std::size_t>(rate * warm_up);
  const std::size_t count = warm_up_reports + static_cast<std::size_t>(rate * seconds);
  schools_wanted = std::min<std::int64_t>(schools_wanted, static_cast<std::int64_t>(count));
  const std::size_t students = (count + static_cast<std::size_t>(schools_wanted) - 1) / static_cast<std::size_t>(schools_wanted);

  PhoneNetwork phones;
  Run(absl::StrCat("VIGIL_SANDBOX_URL=", phones.url(), " VIGIL_SANDBOX_SECRET=bench ", Quoted(root + "/deploy/local/up"), " --lang en >&2"));
  std::map<std::string, std::string> environment = ReadEnvironment(home);
  std::fprintf(stderr, "alert: loading %lld schools of %zu students\n", static_cast<long long>(schools_wanted), students);
  const json sample = json::parse(Run(absl::StrCat("set -a; . ", Quoted(home + "/env"), "; vigil sample --schools ", schools_wanted, " --students ",
                                                   students, " --json")));
  std::vector<School> schools;
  for (const json& one : sample["schools"]) {
    for (const json& person : one["staff"]) phones.AddPhone(person["phone"], schools.size());
    schools.push_back({one["id"], one["token"], one["students"]});
  }

  std::vector<Report> reports(count);
  std::vector<std::string> bodies(count);
  for (std::size_t i = 0; i < count; ++i) {
    reports[i].school = i % schools.size();
    bodies[i] = json{{"student", {{"id", schools[reports[i].school].students[i / schools.size()]}}},
                     {"channel", "web"},
                     {"signals", {"W1a"}},
                     {"location", "教学楼三楼走廊"},
                     {"narrative", "课间在走廊上独自站了很久，问他怎么了，先是不说话，后来说了让人很不放心的话。我让他坐在办公室里，陪着他。"},
                     {"verbatim", "我不想活了"}}
                    .dump();
  }
  std::map<std::string, double> processor_before;
  for (const char* service : kServices) processor_before[service] = ProcessorSeconds(environment[absl::StrCat("VIGIL_PID_", service)]);

  std::fprintf(stderr, "alert: %zu reports at %g a second\n", count, rate);
  vigil::HttpClientOptions client_options;
  client_options.ca_file = environment["VIGIL_CA"];
  client_options.max_in_flight = static_cast<std::size_t>(connections);
  client_options.max_queued = count + 1;
  auto client = std::make_unique<vigil::HttpClient>(client_options);
  // Opened before, a few at a time, as by people who came to work in the morning.
  std::atomic<std::int64_t> opened{0};
  for (std::int64_t i = 0; i < connections; ++i) {
    client->Send({.url = environment["VIGIL_URL"] + "/healthz"}, [&opened](const absl::StatusOr<vigil::HttpResponse>&) { ++opened; });
    if (i % 8 == 7) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  while (opened < connections) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::atomic<std::size_t> answered{0};
  const Clock::time_point start = Clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    const auto due = start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(static_cast<double>(i) / rate));
    std::this_thread::sleep_until(due);
    Report& report = reports[i];
    // The instant it is due, not when this thread woke: a generator that lags must not flatter what it measures.
    report.sent = due;
    vigil::HttpClientRequest request;
    request.method = "POST";
    request.url = absl::StrCat(environment["VIGIL_URL"], "/api/v1/schools/", schools[report.school].id, "/reports");
    request.headers.Add("Authorization", "Bearer " + schools[report.school].token);
    request.headers.Add("Content-Type", "application/json");
    request.headers.Add("Idempotency-Key", absl::StrCat("bench-", i));
    request.body = std::move(bodies[i]);
    request.timeout = absl::Seconds(30);
    client->Send(std::move(request), [&report, &answered](const absl::StatusOr<vigil::HttpResponse>& response) {
      if (response.ok()) {
        report.status = response->status;
        const std::string_view id = response->status == 201 ? FindText(response->body, "case_id") : std::string_view();
        if (id.size() >= kCodeCharacters) report.code = absl::AsciiStrToUpper(std::string(id.substr(id.size() - kCodeCharacters)));
      }
      report.answered_ns = std::chrono::nanoseconds(Clock::now() - report.sent).count();
      ++answered;
    });
  }
  const Clock::time_point end = Clock::now();
  while (answered < count && Clock::now() - end < std::chrono::seconds(35)) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ordered_json processor;
  for (const char* service : kServices) {
    processor[absl::AsciiStrToLower(service)] = Rounded(ProcessorSeconds(environment[absl::StrCat("VIGIL_PID_", service)]) - processor_before[service]);
  }
  std::this_thread::sleep_for(absl::ToChronoMilliseconds(kGrace));
  client.reset();
  ordered_json resident;
  for (const char* service : kServices) resident[absl::AsciiStrToLower(service)] = ResidentBytes(environment[absl::StrCat("VIGIL_PID_", service)]);

  // The first arrival of each matter. Two of one code in a school are told apart by their order.
  std::vector<Arrival> arrivals = phones.Stop();
  std::map<std::pair<std::size_t, std::string>, std::vector<Clock::time_point>> by_matter;
  for (const Arrival& arrival : arrivals) {
    by_matter[{arrival.school, std::string(arrival.code.begin(), arrival.code.end())}].push_back(arrival.time);
  }
  for (auto& [matter, times] : by_matter) std::sort(times.begin(), times.end());
  std::vector<double> to_call;
  std::vector<double> to_answer;
  std::size_t lost = 0;
  std::size_t refused = 0;
  std::map<std::string, int> refusals;  // by HTTP status; 0: no answer
  for (std::size_t i = 0; i < count; ++i) {
    const Report& report = reports[i];
    const auto matter = by_matter.find({report.school, report.code});
    const auto first = matter == by_matter.end() ? std::vector<Clock::time_point>::iterator()
                                                 : std::lower_bound(matter->second.begin(), matter->second.end(), report.sent);
    const bool rung = !report.code.empty() && matter != by_matter.end() && first != matter->second.end();
    if (report.status != 201) {
      ++refused;
      ++refusals[absl::StrCat(report.status)];
    }
    if (!rung || report.status != 201) {
      ++lost;
      continue;
    }
    if (i < warm_up_reports) continue;
    to_call.push_back(Milliseconds(*first - report.sent));
    to_answer.push_back(static_cast<double>(report.answered_ns.load()) / 1e6);
  }
  std::sort(to_call.begin(), to_call.end());
  std::sort(to_answer.begin(), to_answer.end());
  const ordered_json result{
      {"bench", "alert"},
      {"rate", rate},
      {"seconds", seconds},
      {"reports", count},
      {"p50_ms", Rounded(Percentile(to_call, 0.5))},
      {"p99_ms", Rounded(Percentile(to_call, 0.99))},
      {"max_ms", to_call.empty() ? 0 : Rounded(to_call.back())},
      {"lost", lost},
      {"not_accepted", refused},
      {"refusals", refusals},
      {"accepted_p50_ms", Rounded(Percentile(to_answer, 0.5))},
      {"accepted_p99_ms", Rounded(Percentile(to_answer, 0.99))},
      {"provider_requests", arrivals.size()},
      {"sent_late_ms", Rounded(Milliseconds(end - start) - static_cast<double>(count - 1) / rate * 1000)},
      {"processor_seconds", std::move(processor)},
      {"rss_bytes", std::move(resident)},
  };
  std::printf("%s\n", result.dump().c_str());
  return 0;
}
