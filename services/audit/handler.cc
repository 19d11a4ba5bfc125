#include "audit/handler.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <mutex>
#include <utility>

#include "audit/audit.h"
#include "platform/rpc/reply.h"
#include "vigil/audit/v1/audit.grpc.pb.h"

namespace vigil::audit {
namespace {

// Rows that wait for a client that reads slowly; the others wait in the table.
constexpr std::size_t kMaxQueuedRows = 500;

absl::Status RequireCaller(const grpc::CallbackServerContext& context) { return rpc::RequirePeer(context, {"gateway", "operator"}); }

Caller CallerOf(const grpc::CallbackServerContext& context) {
  return {.person = rpc::Metadata(context, "vigil-person"),
          .role = rpc::Metadata(context, "vigil-role"),
          .school = rpc::Metadata(context, "vigil-school")};
}

// Between the worker, which gives rows, and a call, which writes one at a time. Outlives the call if need be.
class StreamSink final : public RowSink {
 public:
  using Reactor = grpc::ServerWriteReactor<v1::TimelineRow>;

  StreamSink(Audit* audit, Reactor* reactor) : audit_(audit), reactor_(reactor) {}

  bool Offer(v1::TimelineRow row) override {
    const std::lock_guard lock(mutex_);
    if (ended_) return true;
    queue_.push_back(std::move(row));
    if (!writing_) WriteNext();
    full_ = queue_.size() >= kMaxQueuedRows;
    return !full_;
  }

  void End(absl::Status status) override {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = true;
    status_ = std::move(status);
    if (!writing_) Finish();
  }

  void OnWritten(bool ok) {
    bool room = false;
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      if (!ok && !ended_) {
        ended_ = true;
        status_ = absl::CancelledError("the client has gone");
      }
      if (ended_ && (!ok || !status_.ok() || queue_.empty())) {
        Finish();
      } else if (!queue_.empty()) {
        WriteNext();
      }
      room = full_ && !ended_ && queue_.size() < kMaxQueuedRows / 2;
      if (room) full_ = false;
    }
    if (room) audit_->Continue(this);
  }

 private:
  void WriteNext() {
    current_ = std::move(queue_.front());
    queue_.pop_front();
    writing_ = true;
    reactor_->StartWrite(&current_);
  }
  void Finish() {
    if (std::exchange(finished_, true)) return;
    rpc::Reply(reactor_, status_);
  }

  Audit* const audit_;
  std::mutex mutex_;
  Reactor* const reactor_;  // used until Finish, after which it ends by itself
  std::deque<v1::TimelineRow> queue_;
  v1::TimelineRow current_;
  bool writing_ = false;
  bool full_ = false;
  bool ended_ = false;
  bool finished_ = false;
  absl::Status status_;
};

class StreamReactor final : public grpc::ServerWriteReactor<v1::TimelineRow> {
 public:
  StreamReactor(Audit* audit, const Caller& caller, const v1::StreamEventsRequest& request)
      : audit_(audit), sink_(std::make_shared<StreamSink>(audit, this)) {
    audit_->OpenStream(caller, request, sink_);
  }
  void OnWriteDone(bool ok) override { sink_->OnWritten(ok); }
  void OnCancel() override { sink_->End(absl::CancelledError("the client has gone")); }
  void OnDone() override {
    audit_->Close(sink_.get());
    delete this;
  }

 private:
  Audit* const audit_;
  const std::shared_ptr<StreamSink> sink_;
};

// Refuses a stream.
class RefusedStream final : public grpc::ServerWriteReactor<v1::TimelineRow> {
 public:
  explicit RefusedStream(const absl::Status& status) { rpc::Reply(this, status); }
  void OnDone() override { delete this; }
};

class Handler final : public v1::AuditService::CallbackService {
 public:
  explicit Handler(Audit* audit) : audit_(audit) {}

  grpc::ServerUnaryReactor* GetTimeline(grpc::CallbackServerContext* context, const v1::GetTimelineRequest* request, v1::Timeline* response) override {
    return Serve(context, request, response, &Audit::GetTimeline);
  }
  grpc::ServerUnaryReactor* GetCheckpoint(grpc::CallbackServerContext* context, const v1::GetCheckpointRequest* request,
                                          v1::Checkpoint* response) override {
    return Serve(context, request, response, &Audit::GetCheckpoint);
  }
  grpc::ServerUnaryReactor* GetEntry(grpc::CallbackServerContext* context, const v1::GetEntryRequest* request, v1::Entry* response) override {
    return Serve(context, request, response, &Audit::GetEntry);
  }
  grpc::ServerUnaryReactor* ListEntries(grpc::CallbackServerContext* context, const v1::ListEntriesRequest* request,
                                        v1::ListEntriesResponse* response) override {
    return Serve(context, request, response, &Audit::ListEntries);
  }
  grpc::ServerUnaryReactor* GetInclusion(grpc::CallbackServerContext* context, const v1::GetInclusionRequest* request, v1::Proof* response) override {
    return Serve(context, request, response, &Audit::GetInclusion);
  }
  grpc::ServerUnaryReactor* GetConsistency(grpc::CallbackServerContext* context, const v1::GetConsistencyRequest* request,
                                           v1::Proof* response) override {
    return Serve(context, request, response, &Audit::GetConsistency);
  }
  grpc::ServerWriteReactor<v1::TimelineRow>* StreamEvents(grpc::CallbackServerContext* context, const v1::StreamEventsRequest* request) override {
    if (absl::Status allowed = RequireCaller(*context); !allowed.ok()) return new RefusedStream(allowed);
    return new StreamReactor(audit_, CallerOf(*context), *request);
  }

 private:
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context, const Request* request, Response* response,
                                  void (Audit::*method)(const Caller&, const Request&, Reply<Response>)) {
    if (absl::Status allowed = RequireCaller(*context); !allowed.ok()) return rpc::ReplyNow(context, allowed);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    (audit_->*method)(CallerOf(*context), *request, [reactor, response](absl::StatusOr<Response> answer) {
      if (answer.ok()) *response = *std::move(answer);
      rpc::Reply(reactor, answer.status());
    });
    return reactor;
  }

  Audit* const audit_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeHandler(Audit* audit) { return std::make_unique<Handler>(audit); }

}  // namespace vigil::audit
