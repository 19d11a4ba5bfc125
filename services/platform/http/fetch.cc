#include "platform/http/fetch.h"

#include <algorithm>
#include <memory>

#include "platform/http/curl_support.h"

namespace vigil {
namespace {

constexpr std::size_t kMaxFetchBytes = std::size_t{256} << 20;
constexpr std::size_t kMaxLineBytes = std::size_t{4} << 20;

struct Transfer {
  const FetchRequest* request = nullptr;
  CURL* handle = nullptr;
  HttpResponse response;
  std::string line;
  bool ended_by_reader = false;
  bool too_large = false;
};

bool TakeLines(Transfer& transfer, std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    transfer.line.append(bytes.substr(0, end));
    if (transfer.line.size() > kMaxLineBytes) {
      transfer.too_large = true;
      return false;
    }
    if (end == std::string_view::npos) return true;
    bytes.remove_prefix(end + 1);
    if (!transfer.line.empty() && transfer.line.back() == '\r') transfer.line.pop_back();
    const bool more = transfer.request->on_line(transfer.line);
    transfer.line.clear();
    if (!more) {
      transfer.ended_by_reader = true;
      return false;
    }
  }
  return true;
}

std::size_t OnBody(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  long status = 0;
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
  if (transfer.request->on_line && status / 100 == 2) return TakeLines(transfer, {data, size}) ? size : 0;
  if (transfer.response.body.size() + size > kMaxFetchBytes) {
    transfer.too_large = true;
    return 0;
  }
  transfer.response.body.append(data, size);
  return size;
}

std::size_t OnHeader(char* data, std::size_t, std::size_t size, void* user) {
  internal::TakeHeaderLine({data, size}, static_cast<Transfer*>(user)->response.headers);
  return size;
}

int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Transfer*>(user)->request->keep_going() ? 0 : 1;
}

}  // namespace

absl::StatusOr<HttpResponse> Fetch(const FetchRequest& request) {
  internal::InitializeCurl();
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl_easy_init(), curl_easy_cleanup);
  if (handle == nullptr) return absl::ResourceExhaustedError("libcurl has no handle");
  Transfer transfer{.request = &request, .handle = handle.get()};
  char detail[CURL_ERROR_SIZE] = "";

  internal::SetCommonOptions(handle.get(), request.ca_file, "", absl::ToInt64Milliseconds(request.connect_timeout));
  internal::SetMethodAndBody(handle.get(), request.method, request.body);
  curl_easy_setopt(handle.get(), CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_ERRORBUFFER, detail);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle.get(), CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(handle.get(), CURLOPT_HEADERDATA, &transfer);
  if (request.timeout < absl::InfiniteDuration()) {
    curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT_MS,
                     static_cast<long>(std::max<int64_t>(1, absl::ToInt64Milliseconds(request.timeout))));
  }
  if (request.keep_going) {
    curl_easy_setopt(handle.get(), CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle.get(), CURLOPT_XFERINFOFUNCTION, OnProgress);
    curl_easy_setopt(handle.get(), CURLOPT_XFERINFODATA, &transfer);
  }
  HttpHeaders headers = request.headers;
  if (!request.bearer_token.empty()) headers.Set("Authorization", "Bearer " + request.bearer_token);
  curl_slist* list = nullptr;
  const bool headers_usable = internal::AppendHeaders(headers, &list);
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> owned_list(list, curl_slist_free_all);
  if (!headers_usable) return absl::InvalidArgumentError("a request header holds a line end");
  curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, list);

  const CURLcode code = curl_easy_perform(handle.get());
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  transfer.response.status = static_cast<int>(status);
  if (transfer.too_large) return absl::ResourceExhaustedError("the answer is too large");
  if (code == CURLE_OK || transfer.ended_by_reader) {
    // A last line without an end still counts.
    if (code == CURLE_OK && request.on_line && !transfer.line.empty()) request.on_line(transfer.line);
    return std::move(transfer.response);
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) return absl::CancelledError("the fetch was ended");
  return internal::StatusFromCurl(handle.get(), code, detail);
}

}  // namespace vigil
