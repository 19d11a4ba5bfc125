#include "platform/http/server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <ctime>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "platform/http/problem.h"
#include "platform/http/url.h"

namespace vigil {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using net::ip::tcp;
using Executor = net::io_context::executor_type;
using Socket = net::basic_stream_socket<tcp, Executor>;
using Acceptor = net::basic_socket_acceptor<tcp, Executor>;
using TlsStream = net::ssl::stream<Socket&>;
using Clock = std::chrono::steady_clock;
using Parser = beast::http::request_parser<beast::http::string_body>;

// Deadlines are looked at this often, which is how late they may fire.
constexpr auto kSweepInterval = std::chrono::milliseconds(50);
constexpr std::size_t kIdleReadBytes = 4 * 1024;
constexpr std::size_t kReadBytes = 32 * 1024;
// A response up to this size is sent in one piece with its header.
constexpr std::size_t kSmallBodyBytes = 32 * 1024;
// After an early refusal we read on a while, so that the answer is not lost to a reset.
constexpr std::size_t kLingerBytes = std::size_t{16} << 20;
constexpr auto kLingerTime = std::chrono::seconds(3);
// What a chunk takes besides its own bytes: its length in hexadecimal and two line ends.
constexpr std::size_t kChunkFramingBytes = 20;
constexpr auto kAcceptRetryDelay = std::chrono::milliseconds(50);

struct Settings {
  HttpServerOptions options;
  HttpHandler handler;
  std::optional<net::ssl::context> tls;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> buffered_body_bytes{0};
};

std::chrono::nanoseconds ToChrono(absl::Duration duration) { return absl::ToChronoNanoseconds(duration); }

void AppendHeaderText(std::string& out, std::string_view text) {
  // A line end in a value would let whoever chose the value write headers of their own.
  for (const char c : text) out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
}

class Connection;

// One I/O thread and what lives on it. Everything but Post and `port` belongs to that thread.
class Worker : public std::enable_shared_from_this<Worker> {
 public:
  explicit Worker(std::shared_ptr<Settings> settings)
      : settings_(std::move(settings)), io_(1), work_(io_.get_executor()), sweep_timer_(io_) {}

  net::io_context& io() { return io_; }
  const std::shared_ptr<Settings>& settings() const { return settings_; }

  void Launch() {
    net::post(io_, [this] { ScheduleSweep(); });
    thread_ = std::thread([this] {
      current = this;
      io_.run();
    });
  }

  // Runs the function later on the worker's thread. False, and it never runs, once the worker has stopped.
  template <class Function>
  bool Post(Function function) {
    const std::lock_guard lock(mutex_);
    if (stopped_) return false;
    net::post(io_, std::move(function));
    return true;
  }
  bool OnThread() const { return current == this; }

  void Add(std::shared_ptr<Connection> connection) { connections_.insert(std::move(connection)); }
  void Remove(const std::shared_ptr<Connection>& connection) { connections_.erase(connection); }
  // Closes the connection that has been idle longest; false if none is idle.
  bool EvictIdle();

  void BeginStop();
  void JoinAndDrain() {
    if (thread_.joinable()) thread_.join();
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    // What was posted between the end of run() and the flag.
    io_.restart();
    io_.poll();
  }
  bool stopping() const { return stopping_; }

  // The Date header's value, made once a second.
  std::string_view Date() {
    const std::time_t now = std::time(nullptr);
    if (now != date_second_) {
      date_second_ = now;
      std::tm utc{};
      gmtime_r(&now, &utc);
      char text[64];
      std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
      date_ = text;
    }
    return date_;
  }

 private:
  static thread_local const Worker* current;

  void ScheduleSweep();
  void Sweep();

  const std::shared_ptr<Settings> settings_;
  net::io_context io_;
  net::executor_work_guard<Executor> work_;
  net::basic_waitable_timer<Clock, net::wait_traits<Clock>, Executor> sweep_timer_;
  std::thread thread_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  bool stopping_ = false;
  Clock::time_point stop_deadline_{};
  std::time_t date_second_ = -1;
  std::string date_;
  std::mutex mutex_;
  bool stopped_ = false;
};

thread_local const Worker* Worker::current = nullptr;

// What a stream's writers share with the connection.
struct StreamState {
  std::atomic<std::size_t> buffered_bytes{0};
  std::atomic<bool> ended{false};
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Worker> worker)
      : worker_(std::move(worker)), socket_(worker_->io()), buffer_(MaxBuffer()) {}
  ~Connection() { ReleaseBody(); }

  Socket& socket() { return socket_; }
  bool idle() const { return phase_ == Phase::kIdle; }
  bool busy() const { return phase_ == Phase::kHandling || phase_ == Phase::kWriting || phase_ == Phase::kReading; }
  Clock::time_point deadline() const { return deadline_; }

  void Begin();
  void OnDeadline();
  // Ends an idle connection or a stream in an orderly way; requests that are being answered go on, and end the
  // connection after it.
  void OnStopping();
  void Close();

  // Answers; `serial` says to which request, so that a late answer cannot meet the next one.
  void Respond(std::uint64_t serial, HttpResponse response);
  void StartStream(std::uint64_t serial, int status, HttpHeaders headers, std::function<void()> on_closed,
                   std::shared_ptr<StreamState> stream);
  void WriteChunk(std::uint64_t serial, std::string chunk);
  void CloseStream(std::uint64_t serial);

 private:
  enum class Phase { kHandshake, kIdle, kReading, kHandling, kWriting, kStreaming, kLingering, kClosed };

  const HttpServerOptions& options() const { return worker_->settings()->options; }
  std::size_t MaxBuffer() const { return options().max_header_bytes + 2 * kReadBytes; }

  template <class Handler>
  void ReadSome(net::mutable_buffer into, Handler handler) {
    if (tls_) {
      tls_->async_read_some(into, std::move(handler));
    } else {
      socket_.async_read_some(into, std::move(handler));
    }
  }
  template <class Buffers, class Handler>
  void WriteAll(const Buffers& buffers, Handler handler) {
    if (tls_) {
      net::async_write(*tls_, buffers, std::move(handler));
    } else {
      net::async_write(socket_, buffers, std::move(handler));
    }
  }

  void SetDeadline(std::chrono::nanoseconds from_now) { deadline_ = Clock::now() + from_now; }
  void NoDeadline() { deadline_ = Clock::time_point::max(); }

  void NextRequest();
  void ReadMore();
  void OnRead(error_code error, std::size_t bytes);
  void Parse();
  void OnHeaderComplete();
  void ReadBody();
  void Dispatch();
  void Refuse(int status, std::string_view detail);
  void Write(HttpResponse response);
  void OnWritten(error_code error);
  void FlushStream();
  void WatchForStreamEnd();
  void EndStream();
  void FinishOrderly();
  void Drain();
  void ReleaseBody() { worker_->settings()->buffered_body_bytes -= std::exchange(reserved_body_bytes_, 0); }

  const std::shared_ptr<Worker> worker_;
  Socket socket_;
  std::optional<TlsStream> tls_;
  std::string peer_address_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  Phase phase_ = Phase::kIdle;
  Clock::time_point deadline_ = Clock::time_point::max();
  std::uint64_t serial_ = 0;  // of the request being handled
  bool header_complete_ = false;
  bool timed_out_ = false;
  bool keep_alive_ = false;
  bool head_request_ = false;
  bool http_1_0_ = false;
  std::size_t header_bytes_ = 0;
  std::size_t reserved_body_bytes_ = 0;
  std::size_t drained_bytes_ = 0;

  std::string out_;       // on the wire
  std::string out_body_;  // likewise, after out_
  std::string stream_pending_;
  std::size_t stream_pending_counted_ = 0;  // of buffered_bytes
  bool stream_writing_ = false;
  bool stream_closing_ = false;
  std::shared_ptr<StreamState> stream_;
  std::function<void()> on_stream_closed_;
};

class ConnectionResponder : public HttpResponder {
 public:
  ConnectionResponder(std::shared_ptr<Worker> worker, std::weak_ptr<Connection> connection, std::uint64_t serial)
      : worker_(std::move(worker)), connection_(std::move(connection)), serial_(serial) {}

  ~ConnectionResponder() override {
    if (!answered_.exchange(true)) {
      Run([serial = serial_](Connection& connection) {
        connection.Respond(serial, ProblemResponse(500, "The request was not answered."));
      });
    } else if (stream_ != nullptr) {
      Close();
    }
  }

  void Send(HttpResponse response) override {
    if (answered_.exchange(true)) return;
    Run([serial = serial_, response = std::move(response)](Connection& connection) mutable {
      connection.Respond(serial, std::move(response));
    });
  }

  void StartStream(int status, HttpHeaders headers, std::function<void()> on_closed) override {
    if (answered_.exchange(true)) return;
    auto stream = std::make_shared<StreamState>();
    {
      const std::lock_guard lock(mutex_);
      stream_ = stream;
    }
    // Shared, because whichever way it goes, the callback has to be there.
    auto callback = std::make_shared<std::function<void()>>(std::move(on_closed));
    const auto gone = [stream, callback] {
      if (!stream->ended.exchange(true) && *callback) (*callback)();
    };
    const bool posted = worker_->Post(
        [weak = connection_, serial = serial_, status, headers = std::move(headers), stream, callback, gone]() mutable {
          if (const std::shared_ptr<Connection> connection = weak.lock()) {
            connection->StartStream(serial, status, std::move(headers), std::move(*callback), stream);
          } else {
            gone();
          }
        });
    if (!posted) gone();
  }

  bool Write(std::string chunk) override {
    const std::shared_ptr<StreamState> stream = Stream();
    if (stream == nullptr || stream->ended) return false;
    if (chunk.empty()) return true;
    stream->buffered_bytes += chunk.size() + kChunkFramingBytes;
    // Too far behind is settled by the connection, which then closes: a writer must not have to care.
    return Run([serial = serial_, chunk = std::move(chunk)](Connection& connection) mutable {
      connection.WriteChunk(serial, std::move(chunk));
    });
  }

  void Close() override {
    if (Stream() == nullptr) return;
    Run([serial = serial_](Connection& connection) { connection.CloseStream(serial); });
  }

 private:
  std::shared_ptr<StreamState> Stream() {
    const std::lock_guard lock(mutex_);
    return stream_;
  }

  template <class Function>
  bool Run(Function function) {
    if (worker_->OnThread()) {
      const std::shared_ptr<Connection> connection = connection_.lock();
      if (connection == nullptr) return false;
      // In order with what other threads have posted before: only the single answer may overtake.
      if (Stream() == nullptr) {
        function(*connection);
        return true;
      }
    }
    return worker_->Post([weak = connection_, function = std::move(function)]() mutable {
      if (const std::shared_ptr<Connection> connection = weak.lock()) function(*connection);
    });
  }

  const std::shared_ptr<Worker> worker_;
  const std::weak_ptr<Connection> connection_;
  const std::uint64_t serial_;
  std::atomic<bool> answered_{false};
  std::mutex mutex_;
  std::shared_ptr<StreamState> stream_;
};

// ---- Worker

bool Worker::EvictIdle() {
  std::shared_ptr<Connection> oldest;
  for (const std::shared_ptr<Connection>& connection : connections_) {
    if (connection->idle() && (oldest == nullptr || connection->deadline() < oldest->deadline())) oldest = connection;
  }
  if (oldest == nullptr) return false;
  oldest->Close();
  return true;
}

void Worker::BeginStop() {
  stopping_ = true;
  stop_deadline_ = Clock::now() + ToChrono(settings_->options.stop_grace);
  const std::vector<std::shared_ptr<Connection>> connections(connections_.begin(), connections_.end());
  for (const std::shared_ptr<Connection>& connection : connections) connection->OnStopping();
  sweep_timer_.cancel();
}

void Worker::ScheduleSweep() {
  sweep_timer_.expires_after(kSweepInterval);
  sweep_timer_.async_wait([this](error_code) { Sweep(); });
}

void Worker::Sweep() {
  const Clock::time_point now = Clock::now();
  std::vector<std::shared_ptr<Connection>> due;
  for (const std::shared_ptr<Connection>& connection : connections_) {
    if (connection->deadline() <= now) due.push_back(connection);
  }
  for (const std::shared_ptr<Connection>& connection : due) connection->OnDeadline();
  if (stopping_ && now >= stop_deadline_) {
    const std::vector<std::shared_ptr<Connection>> rest(connections_.begin(), connections_.end());
    for (const std::shared_ptr<Connection>& connection : rest) connection->Close();
  }
  if (stopping_ && connections_.empty()) {
    work_.reset();
    return;
  }
  ScheduleSweep();
}

// ---- Connection

void Connection::Begin() {
  worker_->Add(shared_from_this());
  if (worker_->stopping()) return Close();
  error_code error;
  socket_.set_option(tcp::no_delay(true), error);
  const tcp::endpoint peer = socket_.remote_endpoint(error);
  if (error) return Close();
  peer_address_ = peer.address().to_string(error);

  if (!worker_->settings()->tls) return NextRequest();
  tls_.emplace(socket_, *worker_->settings()->tls);
  phase_ = Phase::kHandshake;
  SetDeadline(ToChrono(options().read_timeout));
  tls_->async_handshake(net::ssl::stream_base::server, [self = shared_from_this()](error_code handshake_error) {
    if (self->phase_ == Phase::kClosed) return;
    if (handshake_error) return self->Close();
    self->NextRequest();
  });
}

void Connection::NextRequest() {
  if (worker_->stopping()) return FinishOrderly();
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(options().max_header_bytes));
  // The real limit is known once the path is. (boost::none would refuse every body: Beast 1.74 compares with it.)
  parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
  parser_->eager(false);
  header_complete_ = false;
  header_bytes_ = 0;
  timed_out_ = false;
  phase_ = Phase::kIdle;
  SetDeadline(ToChrono(options().idle_timeout));
  if (buffer_.size() > 0) {
    Parse();
  } else {
    buffer_.shrink_to_fit();
    ReadMore();
  }
}

void Connection::ReadMore() {
  const std::size_t wanted = phase_ == Phase::kIdle ? kIdleReadBytes : kReadBytes;
  const std::size_t room = buffer_.max_size() - buffer_.size();
  if (room == 0) return Refuse(header_complete_ ? 400 : 431, "");
  ReadSome(buffer_.prepare(std::min(wanted, room)),
           [self = shared_from_this()](error_code error, std::size_t bytes) { self->OnRead(error, bytes); });
}

void Connection::OnRead(error_code error, std::size_t bytes) {
  if (phase_ == Phase::kClosed) return;
  if (timed_out_) return Refuse(408, "The request did not come in time.");
  if (error) return Close();
  buffer_.commit(bytes);
  Parse();
}

void Connection::Parse() {
  if (phase_ == Phase::kIdle) {
    phase_ = Phase::kReading;
    SetDeadline(ToChrono(options().read_timeout));
  }
  while (!parser_->is_done()) {
    if (buffer_.size() == 0) return ReadMore();
    error_code error;
    const std::size_t consumed = parser_->put(buffer_.data(), error);
    buffer_.consume(consumed);
    if (!header_complete_) {
      // Beast forgets what it has consumed, so that many small fields would never reach its limit.
      header_bytes_ += consumed;
      if (header_bytes_ > options().max_header_bytes) return Refuse(431, "");
    }
    if (error == beast::http::error::header_limit) return Refuse(431, "");
    if (error == beast::http::error::body_limit) return Refuse(413, "");
    if (error && error != beast::http::error::need_more) return Refuse(400, "The request is not well-formed HTTP/1.1.");
    if (!header_complete_ && parser_->is_header_done()) {
      header_complete_ = true;
      // May refuse, or have something to write before the body can be read.
      return OnHeaderComplete();
    }
    if (error == beast::http::error::need_more || (consumed == 0 && !parser_->is_done())) return ReadMore();
  }
  // A request without a body is done with its header.
  if (!header_complete_) {
    header_complete_ = true;
    return OnHeaderComplete();
  }
  Dispatch();
}

void Connection::OnHeaderComplete() {
  const auto& message = parser_->get();
  http_1_0_ = message.version() == 10;
  head_request_ = message.method() == beast::http::verb::head;
  keep_alive_ = message.keep_alive();
  if (!http_1_0_ && message.find(beast::http::field::host) == message.end()) return Refuse(400, "No Host header.");
  if (parser_->is_done()) return Dispatch();

  const std::string_view target(message.target().data(), message.target().size());
  const std::string_view method(message.method_string().data(), message.method_string().size());
  const std::size_t limit = options().max_body_bytes_for
                                ? options().max_body_bytes_for(method, target.substr(0, target.find('?')))
                                : options().max_body_bytes;
  const auto length = parser_->content_length();
  if (length && *length > limit) return Refuse(413, absl::StrCat("The body is larger than ", limit, " bytes."));
  parser_->body_limit(limit);
  parser_->eager(true);

  const std::size_t reserved = length ? static_cast<std::size_t>(*length) : limit;
  std::atomic<std::size_t>& buffered = worker_->settings()->buffered_body_bytes;
  if (buffered.fetch_add(reserved) + reserved > options().max_buffered_body_bytes) {
    buffered -= reserved;
    return Refuse(503, "Too many large requests at once.");
  }
  reserved_body_bytes_ = reserved;
  SetDeadline(ToChrono(options().read_timeout) +
              std::chrono::seconds(reserved / std::max<std::size_t>(1, options().min_body_bytes_per_second)));

  const auto expect = message.find(beast::http::field::expect);
  if (expect == message.end() || http_1_0_) return Parse();
  if (!beast::iequals(expect->value(), "100-continue")) return Refuse(400, "Expect knows only 100-continue.");
  if (buffer_.size() > 0) return Parse();  // it did not wait
  out_ = "HTTP/1.1 100 Continue\r\n\r\n";
  WriteAll(net::buffer(out_), [self = shared_from_this()](error_code error, std::size_t) {
    if (self->phase_ == Phase::kClosed) return;
    if (error) return self->Close();
    if (self->timed_out_) return self->Refuse(408, "");
    self->ReadMore();
  });
}

void Connection::Dispatch() {
  auto message = parser_->release();
  HttpRequest request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  absl::StatusOr<ParsedTarget> parsed = ParseTarget(request.target);
  if (!parsed.ok())
    return Refuse(400, absl::StrCat("The request target is not well-formed: ", parsed.status().message()));
  request.path = std::move(parsed->path);
  request.path_segments = std::move(parsed->path_segments);
  request.query = std::move(parsed->query);
  for (const auto& field : message) request.headers.Add(std::string(field.name_string()), std::string(field.value()));
  request.body = std::move(message.body());
  request.peer_address = peer_address_;
  request.secure = tls_.has_value();

  phase_ = Phase::kHandling;
  NoDeadline();
  ++serial_;
  auto responder = std::make_shared<ConnectionResponder>(worker_, weak_from_this(), serial_);
  try {
    worker_->settings()->handler(std::move(request), responder);
  } catch (...) {
    responder->Send(ProblemResponse(500, "The request could not be handled."));
  }
}

void Connection::Refuse(int status, std::string_view detail) {
  keep_alive_ = false;
  if (!header_complete_) head_request_ = false;
  HttpResponse response = ProblemResponse(status, detail);
  if (status == 503) response.headers.Add("Retry-After", "1");
  Write(std::move(response));
}

void Connection::Respond(std::uint64_t serial, HttpResponse response) {
  if (phase_ != Phase::kHandling || serial != serial_) return;
  Write(std::move(response));
}

void AppendStatusLine(std::string& out, int status) {
  absl::StrAppend(&out, "HTTP/1.1 ", status, " ");
  const std::string_view reason = HttpReason(status);
  out.append(reason).append("\r\n");
}

void AppendHeaders(std::string& out, const HttpHeaders& headers, std::string_view date) {
  for (const HttpHeader& header : headers) {
    if (EqualsIgnoringCase(header.name, "Content-Length") || EqualsIgnoringCase(header.name, "Connection") ||
        EqualsIgnoringCase(header.name, "Transfer-Encoding")) {
      continue;
    }
    AppendHeaderText(out, header.name);
    out.append(": ");
    AppendHeaderText(out, header.value);
    out.append("\r\n");
  }
  out.append("Date: ").append(date).append("\r\n");
}

void Connection::Write(HttpResponse response) {
  phase_ = Phase::kWriting;
  const bool bodiless = response.status == 204 || response.status == 304 || response.status / 100 == 1;
  if (worker_->stopping()) keep_alive_ = false;
  out_.clear();
  AppendStatusLine(out_, response.status);
  AppendHeaders(out_, response.headers, worker_->Date());
  if (!bodiless) absl::StrAppend(&out_, "Content-Length: ", response.body.size(), "\r\n");
  if (!keep_alive_) {
    out_.append("Connection: close\r\n");
  } else if (http_1_0_) {
    out_.append("Connection: keep-alive\r\n");
  }
  out_.append("\r\n");

  out_body_.clear();
  if (!bodiless && !head_request_) {
    if (response.body.size() <= kSmallBodyBytes) {
      out_.append(response.body);
    } else {
      out_body_ = std::move(response.body);
    }
  }
  SetDeadline(ToChrono(options().write_timeout) +
              std::chrono::seconds(out_body_.size() / std::max<std::size_t>(1, options().min_body_bytes_per_second)));
  auto on_written = [self = shared_from_this()](error_code error, std::size_t) { self->OnWritten(error); };
  if (out_body_.empty()) {
    WriteAll(net::buffer(out_), std::move(on_written));
  } else {
    WriteAll(std::array<net::const_buffer, 2>{net::buffer(out_), net::buffer(out_body_)}, std::move(on_written));
  }
}

void Connection::OnWritten(error_code error) {
  if (phase_ == Phase::kClosed) return;
  if (error) return Close();
  ReleaseBody();
  out_body_ = std::string();
  if (keep_alive_) return NextRequest();
  FinishOrderly();
}

// ---- Streams

void Connection::StartStream(std::uint64_t serial, int status, HttpHeaders headers, std::function<void()> on_closed,
                             std::shared_ptr<StreamState> stream) {
  stream_ = std::move(stream);
  on_stream_closed_ = std::move(on_closed);
  if (phase_ != Phase::kHandling || serial != serial_) return EndStream();
  ReleaseBody();
  phase_ = Phase::kStreaming;
  keep_alive_ = false;
  NoDeadline();
  AppendStatusLine(stream_pending_, status);
  AppendHeaders(stream_pending_, headers, worker_->Date());
  stream_pending_.append(http_1_0_ ? "Connection: close\r\n\r\n"
                                   : "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
  if (worker_->stopping() || head_request_) stream_closing_ = true;
  FlushStream();
  WatchForStreamEnd();
}

void Connection::WriteChunk(std::uint64_t serial, std::string chunk) {
  if (phase_ != Phase::kStreaming || serial != serial_ || stream_closing_) return;
  if (stream_->buffered_bytes > kMaxStreamBufferBytes) return Close();
  stream_pending_counted_ += chunk.size() + kChunkFramingBytes;
  if (http_1_0_) {
    stream_pending_.append(chunk);
  } else {
    absl::StrAppend(&stream_pending_, absl::Hex(chunk.size()), "\r\n");
    stream_pending_.append(chunk).append("\r\n");
  }
  FlushStream();
}

void Connection::CloseStream(std::uint64_t serial) {
  if (phase_ != Phase::kStreaming || serial != serial_ || stream_closing_) return;
  stream_closing_ = true;
  FlushStream();
}

void Connection::FlushStream() {
  if (stream_writing_) return;
  if (stream_pending_.empty() && !stream_closing_) return NoDeadline();
  const bool last = stream_closing_;
  if (last && !http_1_0_ && !head_request_) stream_pending_.append("0\r\n\r\n");
  out_ = std::exchange(stream_pending_, {});
  const std::size_t counted = std::exchange(stream_pending_counted_, 0);
  if (out_.empty()) {
    EndStream();
    return FinishOrderly();
  }
  stream_writing_ = true;
  SetDeadline(ToChrono(options().write_timeout));
  WriteAll(net::buffer(out_), [self = shared_from_this(), last, counted](error_code error, std::size_t) {
    if (self->phase_ == Phase::kClosed) return;
    if (error) return self->Close();
    self->stream_writing_ = false;
    self->stream_->buffered_bytes -= counted;
    if (last) {
      self->EndStream();
      return self->FinishOrderly();
    }
    self->FlushStream();
  });
}

// Nothing is expected from the client of a stream but its end; what it sends is thrown away.
void Connection::WatchForStreamEnd() {
  buffer_.clear();
  ReadSome(buffer_.prepare(1024), [self = shared_from_this()](error_code error, std::size_t) {
    if (self->phase_ != Phase::kStreaming) return;
    if (error) return self->Close();
    self->WatchForStreamEnd();
  });
}

void Connection::EndStream() {
  if (stream_ != nullptr) stream_->ended = true;
  if (const std::function<void()> on_closed = std::exchange(on_stream_closed_, nullptr)) on_closed();
}

// ---- Ends

void Connection::OnDeadline() {
  error_code ignored;
  switch (phase_) {
    case Phase::kIdle:
      return FinishOrderly();
    case Phase::kReading:
      timed_out_ = true;
      NoDeadline();
      socket_.cancel(ignored);  // the pending operation comes back and answers 408
      return;
    default:
      return Close();
  }
}

void Connection::OnStopping() {
  switch (phase_) {
    case Phase::kHandshake:
    case Phase::kIdle:
      return Close();
    case Phase::kStreaming:
      stream_closing_ = true;
      SetDeadline(ToChrono(options().stop_grace));
      return FlushStream();
    default:
      return;
  }
}

// Closes so that the client surely gets what was written: our side first, then reading on until its side is closed too.
void Connection::FinishOrderly() {
  if (phase_ == Phase::kClosed) return;
  const bool read_pending = phase_ == Phase::kIdle || phase_ == Phase::kStreaming;
  phase_ = Phase::kLingering;
  SetDeadline(kLingerTime);
  drained_bytes_ = 0;
  if (read_pending) {
    // A read is on its way that will not be waited for; nothing of the client's is outstanding either.
    return Close();
  }
  error_code ignored;
  if (!tls_) {
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    return Drain();
  }
  tls_->async_shutdown([self = shared_from_this()](error_code) {
    if (self->phase_ == Phase::kClosed) return;
    error_code shutdown_error;
    self->socket_.shutdown(tcp::socket::shutdown_send, shutdown_error);
    self->Drain();
  });
}

void Connection::Drain() {
  buffer_.clear();
  // Below TLS: what comes is not looked at.
  socket_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = shared_from_this()](error_code error, std::size_t bytes) {
                            if (self->phase_ == Phase::kClosed) return;
                            self->drained_bytes_ += bytes;
                            if (error || self->drained_bytes_ > kLingerBytes) return self->Close();
                            self->Drain();
                          });
}

void Connection::Close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  NoDeadline();
  const std::shared_ptr<Connection> self = shared_from_this();
  error_code ignored;
  socket_.close(ignored);
  ReleaseBody();
  EndStream();
  worker_->Remove(self);
  --worker_->settings()->connections;
}

}  // namespace

// ---- HttpServer

struct HttpServer::Core {
  std::shared_ptr<Settings> settings;
  std::vector<std::shared_ptr<Worker>> workers;
  std::unique_ptr<Acceptor> acceptor;
  std::unique_ptr<net::steady_timer> accept_retry;
  std::uint16_t port = 0;
  std::size_t next_worker = 0;
  std::mutex stop_mutex;
  bool stopped = false;

  // On the first worker's thread.
  void Accept() {
    if (!acceptor->is_open()) return;
    const std::shared_ptr<Worker> worker = workers[next_worker++ % workers.size()];
    auto connection = std::make_shared<Connection>(worker);
    acceptor->async_accept(connection->socket(), [this, worker, connection](error_code error) {
      if (error == net::error::operation_aborted || !acceptor->is_open()) return;
      if (error) {
        // Out of descriptors, or the client gave up: neither is a reason to stop accepting, nor to spin.
        accept_retry->expires_after(kAcceptRetryDelay);
        accept_retry->async_wait([this](error_code retry_error) {
          if (!retry_error) Accept();
        });
        return;
      }
      Take(worker, connection);
      Accept();
    });
  }

  void Take(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Connection>& connection) {
    const bool full = ++settings->connections > settings->options.max_connections;
    const auto begin = [this, worker, connection, full] {
      if (full && !worker->EvictIdle()) {
        --settings->connections;
        error_code ignored;
        connection->socket().close(ignored);
        return;
      }
      connection->Begin();
    };
    if (worker == workers.front()) {
      begin();
    } else if (!worker->Post(begin)) {
      --settings->connections;
    }
  }
};

HttpServer::HttpServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options, HttpHandler handler) {
  if (options.threads < 1 || options.threads > 64) return absl::InvalidArgumentError("http threads must be 1 to 64");
  if (options.tls_certificate_file.empty() != options.tls_key_file.empty()) {
    return absl::InvalidArgumentError("a TLS certificate and its key belong together");
  }
  auto core = std::make_shared<Core>();
  core->settings = std::make_shared<Settings>();
  core->settings->options = std::move(options);
  core->settings->handler = std::move(handler);
  const HttpServerOptions& settled = core->settings->options;

  error_code error;
  const net::ip::address address = net::ip::make_address(settled.address, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("not a numeric listen address: ", settled.address));

  if (!settled.tls_certificate_file.empty()) {
    net::ssl::context& tls = core->settings->tls.emplace(net::ssl::context::tls_server);
    tls.set_options(net::ssl::context::default_workarounds | net::ssl::context::no_sslv2 | net::ssl::context::no_sslv3 |
                        net::ssl::context::no_tlsv1 | net::ssl::context::no_tlsv1_1,
                    error);
    tls.use_certificate_chain_file(settled.tls_certificate_file, error);
    if (error) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot use the TLS certificate ", settled.tls_certificate_file, ": ", error.message()));
    }
    tls.use_private_key_file(settled.tls_key_file, net::ssl::context::pem, error);
    if (error) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot use the TLS key ", settled.tls_key_file, ": ", error.message()));
    }
    // Idle connections then do not each hold two 16 KiB buffers.
    SSL_CTX_set_mode(tls.native_handle(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(tls.native_handle(), SSL_OP_NO_RENEGOTIATION);
  }

  for (int i = 0; i < settled.threads; ++i) core->workers.push_back(std::make_shared<Worker>(core->settings));
  net::io_context& io = core->workers.front()->io();
  core->acceptor = std::make_unique<Acceptor>(io);
  core->accept_retry = std::make_unique<net::steady_timer>(io);
  const tcp::endpoint endpoint(address, settled.port);
  core->acceptor->open(endpoint.protocol(), error);
  if (!error) core->acceptor->set_option(net::socket_base::reuse_address(true), error);
  if (!error) core->acceptor->bind(endpoint, error);
  if (!error) core->acceptor->listen(net::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", settled.address, ":", settled.port, ": ", error.message()));
  }
  core->port = core->acceptor->local_endpoint().port();

  for (const std::shared_ptr<Worker>& worker : core->workers) worker->Launch();
  net::post(io, [raw = core.get()] { raw->Accept(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(core)));
}

HttpServer::~HttpServer() { Stop(); }

std::uint16_t HttpServer::port() const { return core_->port; }

std::size_t HttpServer::connections() const { return core_->settings->connections; }

void HttpServer::Stop() {
  const std::lock_guard lock(core_->stop_mutex);
  if (std::exchange(core_->stopped, true)) return;
  net::post(core_->workers.front()->io(), [core = core_.get()] {
    error_code ignored;
    core->acceptor->close(ignored);
    core->accept_retry->cancel();
    for (const std::shared_ptr<Worker>& worker : core->workers) {
      worker->Post([worker] { worker->BeginStop(); });
    }
  });
  for (const std::shared_ptr<Worker>& worker : core_->workers) worker->JoinAndDrain();
  // A responder that is kept longer must not keep the handler's world alive.
  core_->settings->handler = nullptr;
}

}  // namespace vigil
