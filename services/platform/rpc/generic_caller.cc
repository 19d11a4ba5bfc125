#include "platform/rpc/generic_caller.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "absl/time/clock.h"
#include "platform/rpc/limits.h"
#include "platform/rpc/status.h"

namespace vigil::rpc {
namespace {

// Each entry costs 32 bytes beside its text (HTTP/2, section 6.5.2); gRPC's own headers need some room too.
constexpr std::size_t kMetadataEntryBytes = 32;
constexpr std::size_t kMetadataReserveBytes = 1024;

absl::Status CheckCall(std::string_view path, const MetadataList& metadata) {
  if (path.size() < 4 || path[0] != '/' || path.find('/', 1) == std::string_view::npos) {
    return absl::InvalidArgumentError("not the path of a method");
  }
  std::size_t bytes = kMetadataReserveBytes;
  for (const auto& [key, value] : metadata) bytes += key.size() + value.size() + kMetadataEntryBytes;
  if (bytes > static_cast<std::size_t>(kMaxMetadataBytes)) return absl::InvalidArgumentError("too much metadata");
  return absl::OkStatus();
}

grpc::ByteBuffer ToBuffer(std::string_view bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return {&slice, 1};
}

absl::StatusOr<std::string> ToString(grpc::ByteBuffer& buffer) {
  if (!buffer.Valid()) return std::string();
  grpc::Slice slice;
  if (!buffer.DumpToSingleSlice(&slice).ok()) return absl::InternalError("a response that cannot be read");
  return std::string(reinterpret_cast<const char*>(slice.begin()), slice.size());
}

}  // namespace

// The calls of one caller. Its destructor must see the last of them, contexts included, which hold the channel: gRPC ends in an abort when the
// last reference to a channel is dropped on one of its own threads.
class GenericCaller::Impl {
 public:
  explicit Impl(std::shared_ptr<grpc::Channel> channel) : stub(std::move(channel)) {}

  // A base, so that it ends after the context.
  class Counted {
   public:
    explicit Counted(Impl& impl) : impl_(impl) {
      std::lock_guard lock(impl_.mutex_);
      ++impl_.alive_;
    }
    ~Counted() {
      std::lock_guard lock(impl_.mutex_);
      // Under the lock: once it is released, impl_ may be gone.
      if (--impl_.alive_ == 0) impl_.none_.notify_all();
    }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

   private:
    Impl& impl_;
  };

  // What is common to a call and a stream.
  struct Running : Counted {
    using Counted::Counted;
    grpc::ClientContext context;
    std::string path;
    grpc::ByteBuffer request;
  };

  std::uint64_t Add(std::shared_ptr<Running> running) {
    std::lock_guard lock(mutex_);
    running_.emplace(++last_id_, std::move(running));
    return last_id_;
  }

  // The caller still holds what is removed, or it would end under the lock that it needs.
  void Remove(std::uint64_t id) {
    std::lock_guard lock(mutex_);
    running_.erase(id);
  }

  // gRPC may end a cancelled call in the cancelling thread, so no lock is held meanwhile.
  void CancelAllAndWait() {
    std::vector<std::shared_ptr<Running>> all;
    {
      std::lock_guard lock(mutex_);
      for (const auto& [id, running] : running_) all.push_back(running);
    }
    for (const auto& running : all) running->context.TryCancel();
    all.clear();
    std::unique_lock lock(mutex_);
    none_.wait(lock, [this] { return alive_ == 0; });
  }

  grpc::GenericStub stub;

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  int alive_ = 0;
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, std::shared_ptr<Running>> running_;
};

namespace {

template <typename Running>
void Prepare(Running& running, std::string_view path, std::string_view request, const MetadataList& metadata) {
  running.path = path;
  running.request = ToBuffer(request);
  running.context.set_wait_for_ready(false);
  for (const auto& [key, value] : metadata) running.context.AddMetadata(key, value);
}

}  // namespace

GenericCaller::GenericCaller(std::shared_ptr<grpc::Channel> channel) : impl_(std::make_unique<Impl>(std::move(channel))) {}
GenericCaller::~GenericCaller() { impl_->CancelAllAndWait(); }

void GenericCaller::Call(std::string_view method_path, std::string_view request, const MetadataList& metadata, absl::Duration deadline,
                         Callback callback) {
  if (absl::Status wrong = CheckCall(method_path, metadata); !wrong.ok()) return callback(std::move(wrong));
  struct UnaryCall : Impl::Running {
    using Impl::Running::Running;
    grpc::ByteBuffer response;
    Callback callback;
  };
  auto call = std::make_shared<UnaryCall>(*impl_);
  Prepare(*call, method_path, request, metadata);
  call->callback = std::move(callback);
  if (deadline < absl::InfiniteDuration()) call->context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
  const std::uint64_t id = impl_->Add(call);
  impl_->stub.UnaryCall(&call->context, call->path, grpc::StubOptions(), &call->request, &call->response,
                        [impl = impl_.get(), call, id](const grpc::Status& status) {
                          if (status.ok()) {
                            call->callback(ToString(call->response));
                          } else {
                            call->callback(FromGrpcStatus(status));
                          }
                          call->callback = nullptr;
                          impl->Remove(id);
                        });
}

GenericCaller::Cancel GenericCaller::Stream(std::string_view method_path, std::string_view request, const MetadataList& metadata,
                                            OnMessage on_message, OnEnd on_end) {
  if (absl::Status wrong = CheckCall(method_path, metadata); !wrong.ok()) {
    on_end(std::move(wrong));
    return [] {};
  }
  // gRPC's generic stub knows only streams in both directions; on the wire this is the same.
  class StreamingCall final : public Impl::Running, public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    StreamingCall(Impl& impl, OnMessage on_message, OnEnd on_end)
        : Impl::Running(impl), impl_(impl), on_message_(std::move(on_message)), on_end_(std::move(on_end)) {}

    void Start(std::shared_ptr<StreamingCall> self, std::uint64_t id) {
      self_ = std::move(self);
      id_ = id;
      StartWriteLast(&request, grpc::WriteOptions());
      StartRead(&response_);
      StartCall();
    }

    void OnReadDone(bool ok) override {
      if (!ok) return;
      absl::StatusOr<std::string> message = ToString(response_);
      response_.Clear();
      if (!message.ok() || !on_message_(*std::move(message))) {
        stopped_ = true;
        context.TryCancel();
        return;
      }
      StartRead(&response_);
    }

    void OnDone(const grpc::Status& status) override {
      const std::shared_ptr<StreamingCall> self = std::move(self_);  // until this returns
      on_end_(stopped_ ? absl::CancelledError("stopped by the reader") : FromGrpcStatus(status));
      impl_.Remove(id_);
    }

   private:
    Impl& impl_;
    const OnMessage on_message_;
    const OnEnd on_end_;
    std::shared_ptr<StreamingCall> self_;
    std::uint64_t id_ = 0;
    grpc::ByteBuffer response_;
    bool stopped_ = false;
  };
  auto call = std::make_shared<StreamingCall>(*impl_, std::move(on_message), std::move(on_end));
  Prepare(*call, method_path, request, metadata);
  const std::uint64_t id = impl_->Add(call);
  impl_->stub.PrepareBidiStreamingCall(&call->context, call->path, grpc::StubOptions(), call.get());
  call->Start(call, id);
  return [weak = std::weak_ptr<Impl::Running>(call)] {
    if (const std::shared_ptr<Impl::Running> running = weak.lock()) running->context.TryCancel();
  };
}

}  // namespace vigil::rpc
