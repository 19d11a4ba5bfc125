// HttpClient against HttpServer on loopback, in one process but on threads of their own whose processor time is told
// apart.
//   bench_http [--rate R] [--seconds T] [--in-flight N] [--url U]
// One JSON line: rate, p50_ms, p99_ms, max_ms, lost, and what each side used of a core. With --url the server is
// somebody else's (a POST of a text message of the sandbox network) and only the client's share is known.
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "platform/http/client.h"
#include "platform/http/server.h"

namespace {

using Clock = std::chrono::steady_clock;

double ThreadSeconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  double rate = 8000;
  double seconds = 5;
  std::size_t in_flight = 64;
  std::string url;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--rate") rate = std::atof(argv[i + 1]);
    if (name == "--seconds") seconds = std::atof(argv[i + 1]);
    if (name == "--in-flight") in_flight = static_cast<std::size_t>(std::atol(argv[i + 1]));
    if (name == "--url") url = argv[i + 1];
  }

  std::atomic<double> server_seconds{0};
  auto server = vigil::HttpServer::Start({}, [&](vigil::HttpRequest, std::shared_ptr<vigil::HttpResponder> responder) {
    vigil::HttpResponse response;
    response.status = 202;
    response.headers.Add("Content-Type", "application/json");
    response.body = R"({"id":"0123456789abcdef"})";
    responder->Send(std::move(response));
    server_seconds = ThreadSeconds();
  });
  if (!server.ok()) return 1;
  const bool own_server = url.empty();
  if (own_server) url = "http://127.0.0.1:" + std::to_string((*server)->port()) + "/v1/messages";

  vigil::HttpClientOptions options;
  options.max_in_flight = in_flight;
  vigil::HttpClient client(options);

  const auto total = static_cast<std::size_t>(rate * seconds);
  std::vector<double> latencies_ms(total, -1);
  std::atomic<std::size_t> done{0};
  std::atomic<std::size_t> lost{0};
  std::atomic<double> client_seconds{0};
  const Clock::time_point start = Clock::now();
  const std::string run = std::to_string(start.time_since_epoch().count());
  for (std::size_t i = 0; i < total; ++i) {
    const Clock::time_point due =
        start + std::chrono::nanoseconds(static_cast<long>(static_cast<double>(i) / rate * 1e9));
    // A millisecond's worth at a time: the generator should not cost more than what it measures.
    if (due - Clock::now() > std::chrono::milliseconds(1)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    vigil::HttpClientRequest request;
    request.method = "POST";
    request.url = url;
    request.headers.Add("Content-Type", "application/json");
    request.body = R"({"id":"m)" + run + std::to_string(i) + R"(","to":"+86139)" + std::to_string(10000000 + i % 5000) +
                   R"(","text":"bench","callback":"http://127.0.0.1:9/callbacks/sandbox/message"})";
    client.Send(std::move(request), [&, i, due](absl::StatusOr<vigil::HttpResponse> response) {
      if (!response.ok() || response->status / 100 != 2) {
        ++lost;
      } else {
        latencies_ms[i] = std::chrono::duration<double, std::milli>(Clock::now() - due).count();
      }
      client_seconds = ThreadSeconds();
      ++done;
    });
  }
  while (done < total) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();

  std::erase(latencies_ms, -1);
  std::sort(latencies_ms.begin(), latencies_ms.end());
  const auto at = [&](double part) {
    return latencies_ms.empty()
               ? 0
               : latencies_ms[static_cast<std::size_t>(part * static_cast<double>(latencies_ms.size() - 1))];
  };
  std::printf(
      "{\"rate\":%.0f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f,\"lost\":%zu,\"client_core\":%.3f,\"server_"
      "core\":%.3f}\n",
      static_cast<double>(total) / elapsed, at(0.5), at(0.99), at(1), lost.load(), client_seconds.load() / elapsed,
      own_server ? server_seconds.load() / elapsed : 0);
  return lost == 0 ? 0 : 1;
}
