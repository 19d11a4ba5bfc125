#include "platform/http/client.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "platform/http/curl_support.h"

namespace vigil {
namespace {

using Clock = std::chrono::steady_clock;

// How late a request that waits in the queue may learn that its time is over.
constexpr std::chrono::milliseconds kQueueSweepInterval{100};
constexpr int kEventsAtOnce = 64;
constexpr std::size_t kMaxSpareHandles = 512;

struct Job {
  HttpClientRequest request;
  HttpClient::Callback callback;
  Clock::time_point deadline;
};

// A request on the wire. Owned by the loop; libcurl has its address as the easy handle's private pointer.
struct Transfer {
  explicit Transfer(CURL* easy) : handle(easy) {}
  ~Transfer() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  CURL* const handle;
  Job job;
  HttpResponse response;
  curl_slist* headers = nullptr;
  std::size_t max_response_bytes = 0;
  bool too_large = false;
  char detail[CURL_ERROR_SIZE] = "";
};

std::size_t OnBody(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.response.body.size() + size > transfer.max_response_bytes) {
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

}  // namespace

// libcurl's event interface over epoll: the cost of a request does not grow with how many others are in flight, as it
// would with curl_multi_perform.
class HttpClient::Loop {
 public:
  explicit Loop(HttpClientOptions options) : options_(std::move(options)) {
    internal::InitializeCurl();
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    wakeup_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = wakeup_;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_, &event);
    multi_ = curl_multi_init();
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Loop::OnSocket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Loop::OnTimer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    // Every connection in use may come back to the pool.
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS,
                      static_cast<long>(options_.max_in_flight + options_.urgent_reserve));
    thread_ = std::thread([this] { Run(); });
  }

  ~Loop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    Wake();
    thread_.join();
    transfers_.clear();
    spare_.clear();
    curl_multi_cleanup(multi_);
    close(wakeup_);
    close(epoll_);
  }

  void Send(HttpClientRequest request, Callback callback) {
    Job job{std::move(request), std::move(callback), Clock::now()};
    job.deadline += absl::ToChronoNanoseconds(std::min(job.request.timeout, absl::Hours(24)));
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      incoming_.push_back(std::move(job));
      wake = !std::exchange(wake_sent_, true);
    }
    if (wake) Wake();
  }

 private:
  static int OnSocket(CURL*, curl_socket_t socket, int what, void* user, void* registered) {
    auto* loop = static_cast<Loop*>(user);
    if (what == CURL_POLL_REMOVE) {
      epoll_ctl(loop->epoll_, EPOLL_CTL_DEL, socket, nullptr);
      return 0;
    }
    epoll_event event{};
    if (what & CURL_POLL_IN) event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
    event.data.fd = socket;
    if (registered == nullptr) {
      curl_multi_assign(loop->multi_, socket, loop);
      if (epoll_ctl(loop->epoll_, EPOLL_CTL_ADD, socket, &event) == 0) return 0;
    }
    epoll_ctl(loop->epoll_, EPOLL_CTL_MOD, socket, &event);
    return 0;
  }

  static int OnTimer(CURLM*, long timeout_ms, void* user) {
    auto* loop = static_cast<Loop*>(user);
    loop->timer_ = timeout_ms < 0 ? Clock::time_point::max() : Clock::now() + std::chrono::milliseconds(timeout_ms);
    return 0;
  }

  void Wake() const {
    const std::uint64_t one = 1;
    // Only a full counter could fail it, and then a wakeup is pending anyway.
    [[maybe_unused]] const ssize_t written = write(wakeup_, &one, sizeof one);
  }

  void Run() {
    for (;;) {
      if (!TakeIncoming()) break;
      StartWaiting();
      const Clock::time_point now = Clock::now();
      if (timer_ <= now) {
        timer_ = Clock::time_point::max();
        Act(CURL_SOCKET_TIMEOUT, 0);
        // What has just ended makes room for what waits.
        continue;
      }
      epoll_event events[kEventsAtOnce];
      const int count = epoll_wait(epoll_, events, kEventsAtOnce, WaitMilliseconds(now));
      for (int i = 0; i < count; ++i) {
        if (events[i].data.fd == wakeup_) {
          std::uint64_t ignored = 0;
          [[maybe_unused]] const ssize_t bytes = read(wakeup_, &ignored, sizeof ignored);
          continue;
        }
        int what = 0;
        if (events[i].events & EPOLLIN) what |= CURL_CSELECT_IN;
        if (events[i].events & EPOLLOUT) what |= CURL_CSELECT_OUT;
        if (events[i].events & (EPOLLERR | EPOLLHUP)) what |= CURL_CSELECT_ERR;
        Act(events[i].data.fd, what);
      }
      SweepQueues();
    }
    CancelEverything();
  }

  int WaitMilliseconds(Clock::time_point now) const {
    auto wait = std::chrono::milliseconds(60'000);
    if (timer_ != Clock::time_point::max()) {
      wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(timer_ - now));
    }
    if (!urgent_.empty() || !waiting_.empty()) wait = std::min(wait, kQueueSweepInterval);
    return static_cast<int>(std::max<std::int64_t>(0, wait.count()));
  }

  bool TakeIncoming() {
    std::vector<Job> jobs;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
      jobs.swap(incoming_);
      wake_sent_ = false;
    }
    for (Job& job : jobs) {
      std::deque<Job>& queue = job.request.urgent ? urgent_ : waiting_;
      if (queue.size() < (job.request.urgent ? options_.max_urgent_queued : options_.max_queued)) {
        queue.push_back(std::move(job));
      } else {
        job.callback(absl::ResourceExhaustedError("too many requests are waiting"));
      }
      // Started at once, so that a burst no longer than what may be in flight never meets the queue's limit.
      StartWaiting();
    }
    return true;
  }

  void StartWaiting() {
    while (!urgent_.empty() && transfers_.size() < options_.max_in_flight + options_.urgent_reserve) {
      Job job = std::move(urgent_.front());
      urgent_.pop_front();
      Begin(std::move(job));
    }
    while (!waiting_.empty() && transfers_.size() < options_.max_in_flight) {
      Job job = std::move(waiting_.front());
      waiting_.pop_front();
      Begin(std::move(job));
    }
  }

  void Begin(Job job) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(job.deadline - Clock::now()).count();
    if (left <= 0) return job.callback(absl::UnavailableError("no answer: the request waited too long to be sent"));

    std::unique_ptr<Transfer> transfer;
    if (!spare_.empty()) {
      transfer = std::move(spare_.back());
      spare_.pop_back();
    } else if (CURL* handle = curl_easy_init()) {
      transfer = std::make_unique<Transfer>(handle);
    } else {
      return job.callback(absl::ResourceExhaustedError("libcurl has no handle"));
    }
    transfer->job = std::move(job);
    transfer->response = HttpResponse();
    transfer->max_response_bytes = options_.max_response_bytes;
    transfer->too_large = false;
    transfer->detail[0] = '\0';
    if (!internal::AppendHeaders(transfer->job.request.headers, &transfer->headers)) {
      return transfer->job.callback(absl::InvalidArgumentError("a request header holds a line end"));
    }

    CURL* const handle = transfer->handle;
    internal::SetCommonOptions(handle, options_.ca_file, options_.proxy,
                               std::min<long>(left, absl::ToInt64Milliseconds(options_.connect_timeout)));
    internal::SetMethodAndBody(handle, transfer->job.request.method, transfer->job.request.body);
    curl_easy_setopt(handle, CURLOPT_URL, transfer->job.request.url.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(left));
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, transfer->detail);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, OnBody);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, transfer.get());
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, OnHeader);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, transfer.get());
    curl_easy_setopt(handle, CURLOPT_PRIVATE, transfer.get());
    const CURLMcode added = curl_multi_add_handle(multi_, handle);
    if (added != CURLM_OK) {
      return transfer->job.callback(absl::ResourceExhaustedError(curl_multi_strerror(added)));
    }
    transfers_.insert(std::move(transfer));
  }

  void Act(curl_socket_t socket, int what) {
    int running = 0;
    curl_multi_socket_action(multi_, socket, what, &running);
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      // The message is gone once its handle is removed.
      Finish(message->easy_handle, message->data.result);
    }
  }

  void Finish(CURL* handle, CURLcode code) {
    char* user = nullptr;
    curl_easy_getinfo(handle, CURLINFO_PRIVATE, &user);
    std::unique_ptr<Transfer> transfer = Take(reinterpret_cast<Transfer*>(user));
    absl::StatusOr<HttpResponse> result = Result(*transfer, code);
    const Callback callback = std::move(transfer->job.callback);
    Retire(std::move(transfer));
    callback(std::move(result));
  }

  absl::StatusOr<HttpResponse> Result(Transfer& transfer, CURLcode code) {
    if (transfer.too_large) return absl::ResourceExhaustedError("the answer is too large");
    if (code != CURLE_OK) return internal::StatusFromCurl(transfer.handle, code, transfer.detail);
    long status = 0;
    curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
    transfer.response.status = static_cast<int>(status);
    return std::move(transfer.response);
  }

  std::unique_ptr<Transfer> Take(Transfer* transfer) {
    curl_multi_remove_handle(multi_, transfer->handle);
    return std::move(transfers_.extract(transfers_.find(transfer)).value());
  }

  void Retire(std::unique_ptr<Transfer> transfer) {
    curl_slist_free_all(std::exchange(transfer->headers, nullptr));
    transfer->job = Job();
    curl_easy_reset(transfer->handle);
    if (spare_.size() < kMaxSpareHandles) spare_.push_back(std::move(transfer));
  }

  void SweepQueues() {
    if (urgent_.empty() && waiting_.empty()) return;
    const Clock::time_point now = Clock::now();
    if (now < next_sweep_) return;
    next_sweep_ = now + kQueueSweepInterval;
    for (std::deque<Job>* queue : {&urgent_, &waiting_}) {
      std::vector<Callback> expired;
      std::erase_if(*queue, [&](Job& job) {
        if (job.deadline > now) return false;
        expired.push_back(std::move(job.callback));
        return true;
      });
      for (const Callback& callback : expired) {
        callback(absl::UnavailableError("no answer: the request waited too long to be sent"));
      }
    }
  }

  void CancelEverything() {
    const absl::Status cancelled = absl::CancelledError("the HTTP client was stopped");
    while (!transfers_.empty()) {
      const std::unique_ptr<Transfer> transfer = Take(transfers_.begin()->get());
      transfer->job.callback(cancelled);
    }
    std::vector<Job> rest;
    {
      const std::lock_guard lock(mutex_);
      rest.swap(incoming_);
    }
    for (std::deque<Job>* queue : {&urgent_, &waiting_}) {
      for (Job& job : *queue) job.callback(cancelled);
      queue->clear();
    }
    // Again, for what those callbacks sent in their turn.
    while (!rest.empty()) {
      for (Job& job : rest) job.callback(cancelled);
      rest.clear();
      const std::lock_guard lock(mutex_);
      rest.swap(incoming_);
    }
  }

  struct ByAddress {
    using is_transparent = void;
    std::size_t operator()(const std::unique_ptr<Transfer>& transfer) const {
      return std::hash<Transfer*>()(transfer.get());
    }
    std::size_t operator()(Transfer* transfer) const { return std::hash<Transfer*>()(transfer); }
    bool operator()(const std::unique_ptr<Transfer>& a, const std::unique_ptr<Transfer>& b) const { return a == b; }
    bool operator()(Transfer* a, const std::unique_ptr<Transfer>& b) const { return a == b.get(); }
    bool operator()(const std::unique_ptr<Transfer>& a, Transfer* b) const { return a.get() == b; }
  };

  const HttpClientOptions options_;
  int epoll_ = -1;
  int wakeup_ = -1;
  std::thread thread_;

  std::mutex mutex_;
  std::vector<Job> incoming_;  // guarded by mutex_
  bool wake_sent_ = false;     // guarded by mutex_
  bool stopping_ = false;      // guarded by mutex_

  // The loop's thread only.
  CURLM* multi_ = nullptr;
  Clock::time_point timer_ = Clock::time_point::max();
  Clock::time_point next_sweep_{};
  std::deque<Job> urgent_;
  std::deque<Job> waiting_;
  std::unordered_set<std::unique_ptr<Transfer>, ByAddress, ByAddress> transfers_;
  std::vector<std::unique_ptr<Transfer>> spare_;
};

HttpClient::HttpClient(HttpClientOptions options) : loop_(std::make_unique<Loop>(std::move(options))) {}
HttpClient::~HttpClient() = default;

void HttpClient::Send(HttpClientRequest request, Callback callback) {
  loop_->Send(std::move(request), std::move(callback));
}

// ---- What Fetch shares

namespace internal {

void InitializeCurl() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(result);
}

absl::Status StatusFromCurl(CURL* handle, CURLcode code, const char* detail) {
  const char* const text = detail[0] != '\0' ? detail : curl_easy_strerror(code);
  curl_off_t connected_us = 0;
  curl_off_t ready_us = 0;
  curl_easy_getinfo(handle, CURLINFO_CONNECT_TIME_T, &connected_us);
  curl_easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return absl::InvalidArgumentError(text);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
      return absl::UnavailableError(text);
    case CURLE_OPERATION_TIMEDOUT:
      // Before the connection was ready nothing of the request was sent.
      return connected_us == 0 || ready_us == 0 ? absl::UnavailableError(text) : absl::DeadlineExceededError(text);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return absl::FailedPreconditionError(text);
    case CURLE_OUT_OF_MEMORY:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::UnknownError(text);
  }
}

void TakeHeaderLine(std::string_view line, HttpHeaders& headers) {
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (line.substr(0, 5) == "HTTP/") {
    headers = HttpHeaders();
    return;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  headers.Add(std::string(line.substr(0, colon)), std::string(value));
}

bool AppendHeaders(const HttpHeaders& headers, curl_slist** list) {
  bool expect_given = false;
  std::string text;
  for (const HttpHeader& header : headers) {
    if ((header.name + header.value).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) return false;
    expect_given = expect_given || EqualsIgnoringCase(header.name, "Expect");
    text = header.name;
    // Curl's way to say an empty value; with a colon it would remove the header.
    text += header.value.empty() ? ";" : ": " + header.value;
    *list = curl_slist_append(*list, text.c_str());
  }
  // Curl would otherwise wait for "100 Continue" before a large body.
  if (!expect_given) *list = curl_slist_append(*list, "Expect:");
  return true;
}

void SetCommonOptions(CURL* handle, const std::string& ca_file, const std::string& proxy, long connect_timeout_ms) {
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, std::max(1L, connect_timeout_ms));
  // An empty string also switches the environment's proxy off.
  curl_easy_setopt(handle, CURLOPT_PROXY, proxy.c_str());
  if (!ca_file.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, ca_file.c_str());
    curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);
  }
}

void SetMethodAndBody(CURL* handle, const std::string& method, const std::string& body) {
  const bool has_body = !body.empty() || method == "POST" || method == "PUT" || method == "PATCH";
  if (method == "HEAD") {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  } else if (has_body) {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
    if (method != "POST") curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method.c_str());
  } else if (method != "GET") {
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method.c_str());
  }
}

}  // namespace internal
}  // namespace vigil
