#include "supervisor/readiness.h"

#include <curl/curl.h>

#include <cstddef>
#include <memory>

#include "supervisor/configs.h"
#include "supervisor/ports.h"

namespace vigil::installation {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(1);

std::size_t Discard(char*, std::size_t size, std::size_t count, void*) { return size * count; }

bool GatewayReady(const Layout& layout, const Installation& installation) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> request(curl_easy_init(), &curl_easy_cleanup);
  const std::string url = GatewayUrl(installation) + "/readyz";
  const std::string authority = layout.authority().string();
  curl_easy_setopt(request.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(request.get(), CURLOPT_CAINFO, authority.c_str());
  curl_easy_setopt(request.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(request.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(absl::ToInt64Milliseconds(kPatience)));
  curl_easy_setopt(request.get(), CURLOPT_WRITEFUNCTION, &Discard);
  if (curl_easy_perform(request.get()) != CURLE_OK) return false;
  long status = 0;
  curl_easy_getinfo(request.get(), CURLINFO_RESPONSE_CODE, &status);
  return status == 200;
}

}  // namespace

std::vector<std::string> NotReady(const Layout& layout, const Installation& installation) {
  std::vector<std::string> names;
  absl::StatusOr<std::vector<ProcessState>> processes = ReadProcesses(layout);
  if (!RunningSupervisor(layout).ok() || !processes.ok()) return {"supervisor"};
  for (const ProcessState& process : *processes) {
    if (process.state == "absent") continue;
    const bool ready = process.state == "running" && Accepts(process.port, kPatience) &&
                       (process.name != "gateway" || GatewayReady(layout, installation));
    if (!ready) names.push_back(process.name);
  }
  return names;
}

}  // namespace vigil::installation
