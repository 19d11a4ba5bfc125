#include "intake/handler.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/numbers.h"
#include "intake/commands.h"
#include "intake/intake.h"
#include "platform/rpc/reply.h"
#include "vigil/api/v1/annotations.pb.h"
#include "vigil/intake/v1/intake.grpc.pb.h"

namespace vigil::intake {
namespace {

Caller CallerOf(const grpc::CallbackServerContext& context) {
  Caller caller{.person = rpc::Metadata(context, "vigil-person"),
                .role = rpc::Metadata(context, "vigil-role"),
                .school = rpc::Metadata(context, "vigil-school"),
                .idempotency_key = rpc::Metadata(context, "vigil-idempotency-key"),
                .body_hash = rpc::Metadata(context, "vigil-body-hash")};
  caller.traceparent = rpc::Metadata(context, "traceparent");
  caller.language = rpc::Metadata(context, "accept-language");
  std::string match = rpc::Metadata(context, "vigil-if-match");
  if (match.size() >= 2 && match.front() == '"' && match.back() == '"') match = match.substr(1, match.size() - 2);
  // What is no version of ours was never current.
  if (!match.empty() && match != "*" && !absl::SimpleAtoi(match, &caller.expected_version)) caller.expected_version = UINT64_MAX;
  return caller;
}

std::string PermissionOf(const char* method) {
  return google::protobuf::DescriptorPool::generated_pool()
      ->FindServiceByName("vigil.intake.v1.IntakeService")
      ->FindMethodByName(method)
      ->options()
      .GetExtension(api::v1::http)
      .permission();
}

class Handler final : public v1::IntakeService::CallbackService {
 public:
  explicit Handler(Intake* intake) : intake_(intake) {}

  grpc::ServerUnaryReactor* CreateReport(grpc::CallbackServerContext* context, const v1::CreateReportRequest* request, v1::CreateReportResponse* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::CreateReportResponse> reply) { intake_->CreateReport(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetReport(grpc::CallbackServerContext* context, const v1::GetReportRequest* request, v1::ReportReceipt* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::ReportReceipt> reply) { intake_->GetReport(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetCase(grpc::CallbackServerContext* context, const v1::CaseRequest* request, v1::Case* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Case> reply) { intake_->GetCase(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* ListCases(grpc::CallbackServerContext* context, const v1::ListCasesRequest* request, v1::ListCasesResponse* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::ListCasesResponse> reply) { intake_->ListCases(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* ListClocks(grpc::CallbackServerContext* context, const v1::CaseRequest* request, v1::ListClocksResponse* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::ListClocksResponse> reply) { intake_->ListClocks(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetCustody(grpc::CallbackServerContext* context, const v1::CaseRequest* request, v1::Custody* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Custody> reply) { intake_->GetCustody(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* TakeAlert(grpc::CallbackServerContext* context, const v1::TakeAlertRequest* request, v1::Case* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Case> reply) { intake_->TakeAlert(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* IdentifyStudent(grpc::CallbackServerContext* context, const v1::IdentifyStudentRequest* request, v1::Case* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Case> reply) { intake_->IdentifyStudent(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* MoveToStudent(grpc::CallbackServerContext* context, const v1::MoveToStudentRequest* request, v1::Case* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Case> reply) { intake_->MoveToStudent(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* PutDirectory(grpc::CallbackServerContext* context, const v1::PutDirectoryRequest* request, v1::PutDirectoryResponse* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::PutDirectoryResponse> reply) { intake_->PutDirectory(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* ErasePerson(grpc::CallbackServerContext* context, const v1::ErasePersonRequest* request, v1::ErasePersonResponse* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::ErasePersonResponse> reply) { intake_->ErasePerson(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* PutSchedule(grpc::CallbackServerContext* context, const v1::PutScheduleRequest* request, v1::Schedule* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Schedule> reply) { intake_->PutSchedule(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetOnCall(grpc::CallbackServerContext* context, const v1::GetOnCallRequest* request, v1::OnCall* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::OnCall> reply) { intake_->GetOnCall(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetClock(grpc::CallbackServerContext* context, const v1::GetClockRequest* request, v1::Clock* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Clock> reply) { intake_->GetClock(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* SetClock(grpc::CallbackServerContext* context, const v1::SetClockRequest* request, v1::Clock* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Clock> reply) { intake_->SetClock(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* RecordPhoneReport(grpc::CallbackServerContext* context, const v1::RecordPhoneReportRequest* request, v1::Case* response) override {
    return Command("RecordPhoneReport", context, *request, response);
  }
  grpc::ServerUnaryReactor* ConfirmInSight(grpc::CallbackServerContext* context, const v1::ConfirmInSightRequest* request, v1::Case* response) override {
    return Command("ConfirmInSight", context, *request, response);
  }
  grpc::ServerUnaryReactor* FileWrittenReport(grpc::CallbackServerContext* context, const v1::FileWrittenReportRequest* request, v1::Case* response) override {
    return Command("FileWrittenReport", context, *request, response);
  }
  grpc::ServerUnaryReactor* ReceiveWrittenReport(grpc::CallbackServerContext* context, const v1::ReceiveWrittenReportRequest* request, v1::Case* response) override {
    return Command("ReceiveWrittenReport", context, *request, response);
  }
  grpc::ServerUnaryReactor* Acknowledge(grpc::CallbackServerContext* context, const v1::AcknowledgeRequest* request, v1::Case* response) override {
    return Command("Acknowledge", context, *request, response);
  }
  grpc::ServerUnaryReactor* Assess(grpc::CallbackServerContext* context, const v1::AssessRequest* request, v1::Case* response) override {
    return Command("Assess", context, *request, response);
  }
  grpc::ServerUnaryReactor* PlanShifts(grpc::CallbackServerContext* context, const v1::PlanShiftsRequest* request, v1::Case* response) override {
    return Command("PlanShifts", context, *request, response);
  }
  grpc::ServerUnaryReactor* OfferShift(grpc::CallbackServerContext* context, const v1::OfferShiftRequest* request, v1::Case* response) override {
    return Command("OfferShift", context, *request, response);
  }
  grpc::ServerUnaryReactor* AcceptShift(grpc::CallbackServerContext* context, const v1::AcceptShiftRequest* request, v1::Case* response) override {
    return Command("AcceptShift", context, *request, response);
  }
  grpc::ServerUnaryReactor* CheckIn(grpc::CallbackServerContext* context, const v1::CheckInRequest* request, v1::Case* response) override {
    return Command("CheckIn", context, *request, response);
  }
  grpc::ServerUnaryReactor* RecordGuardianContact(grpc::CallbackServerContext* context, const v1::RecordGuardianContactRequest* request, v1::Case* response) override {
    return Command("RecordGuardianContact", context, *request, response);
  }
  grpc::ServerUnaryReactor* HandOverToGuardian(grpc::CallbackServerContext* context, const v1::HandOverToGuardianRequest* request, v1::Case* response) override {
    return Command("HandOverToGuardian", context, *request, response);
  }
  grpc::ServerUnaryReactor* HandOverToAuthority(grpc::CallbackServerContext* context, const v1::HandOverToAuthorityRequest* request, v1::Case* response) override {
    return Command("HandOverToAuthority", context, *request, response);
  }
  grpc::ServerUnaryReactor* DecideNotSevere(grpc::CallbackServerContext* context, const v1::DecideNotSevereRequest* request, v1::Case* response) override {
    return Command("DecideNotSevere", context, *request, response);
  }
  grpc::ServerUnaryReactor* RecordDeparture(grpc::CallbackServerContext* context, const v1::RecordDepartureRequest* request, v1::Case* response) override {
    return Command("RecordDeparture", context, *request, response);
  }
  grpc::ServerUnaryReactor* ReturnCustody(grpc::CallbackServerContext* context, const v1::ReturnCustodyRequest* request, v1::Case* response) override {
    return Command("ReturnCustody", context, *request, response);
  }
  grpc::ServerUnaryReactor* CorrectDiscovery(grpc::CallbackServerContext* context, const v1::CorrectDiscoveryRequest* request, v1::Case* response) override {
    return Command("CorrectDiscovery", context, *request, response);
  }
  grpc::ServerUnaryReactor* Hold(grpc::CallbackServerContext* context, const v1::HoldRequest* request, v1::Case* response) override {
    return Command("Hold", context, *request, response);
  }
  grpc::ServerUnaryReactor* LiftHold(grpc::CallbackServerContext* context, const v1::LiftHoldRequest* request, v1::Case* response) override {
    return Command("LiftHold", context, *request, response);
  }
  grpc::ServerUnaryReactor* Recuse(grpc::CallbackServerContext* context, const v1::RecuseRequest* request, v1::Case* response) override {
    return Command("Recuse", context, *request, response);
  }
  grpc::ServerUnaryReactor* ApproveReturn(grpc::CallbackServerContext* context, const v1::ApproveReturnRequest* request, v1::Case* response) override {
    return Command("ApproveReturn", context, *request, response);
  }
  grpc::ServerUnaryReactor* StoreAttachment(grpc::CallbackServerContext* context, const v1::StoreAttachmentRequest* request, v1::Attachment* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Attachment> reply) { intake_->StoreAttachment(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* Close(grpc::CallbackServerContext* context, const v1::CloseRequest* request, v1::Case* response) override {
    return Command("Close", context, *request, response);
  }
  grpc::ServerUnaryReactor* FileRecord(grpc::CallbackServerContext* context, const v1::FileRecordRequest* request, v1::Case* response) override {
    return Command("FileRecord", context, *request, response);
  }
  grpc::ServerUnaryReactor* SignAgreement(grpc::CallbackServerContext* context, const v1::SignAgreementRequest* request, v1::Case* response) override {
    return Command("SignAgreement", context, *request, response);
  }
  grpc::ServerUnaryReactor* ApplyForLeave(grpc::CallbackServerContext* context, const v1::ApplyForLeaveRequest* request, v1::Case* response) override {
    return Command("ApplyForLeave", context, *request, response);
  }
  grpc::ServerUnaryReactor* RequestReturn(grpc::CallbackServerContext* context, const v1::RequestReturnRequest* request, v1::Case* response) override {
    return Command("RequestReturn", context, *request, response);
  }
  grpc::ServerUnaryReactor* Convene(grpc::CallbackServerContext* context, const v1::ConveneRequest* request, v1::Case* response) override {
    return Command("Convene", context, *request, response);
  }
  grpc::ServerUnaryReactor* AcknowledgeRecord(grpc::CallbackServerContext* context, const v1::AcknowledgeRecordRequest* request, v1::Case* response) override {
    return Command("AcknowledgeRecord", context, *request, response);
  }
  grpc::ServerUnaryReactor* ListRecords(grpc::CallbackServerContext* context, const v1::ListRecordsRequest* request, v1::ListRecordsResponse* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::ListRecordsResponse> reply) { intake_->ListRecords(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* FileSchoolRecord(grpc::CallbackServerContext* context, const v1::FileSchoolRecordRequest* request, v1::Record* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Record> reply) { intake_->FileSchoolRecord(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* ListSchoolRecords(grpc::CallbackServerContext* context, const v1::ListSchoolRecordsRequest* request, v1::ListRecordsResponse* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::ListRecordsResponse> reply) { intake_->ListSchoolRecords(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* AcknowledgeSchoolRecord(grpc::CallbackServerContext* context, const v1::AcknowledgeSchoolRecordRequest* request, v1::Record* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Record> reply) { intake_->AcknowledgeSchoolRecord(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* ListDuties(grpc::CallbackServerContext* context, const v1::ListDutiesRequest* request, v1::ListDutiesResponse* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::ListDutiesResponse> reply) { intake_->ListDuties(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetRegister(grpc::CallbackServerContext* context, const v1::GetRegisterRequest* request, v1::Register* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Register> reply) { intake_->GetRegister(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetReadiness(grpc::CallbackServerContext* context, const v1::GetReadinessRequest* request, v1::Readiness* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Readiness> reply) { intake_->GetReadiness(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetStatistics(grpc::CallbackServerContext* context, const v1::GetStatisticsRequest* request, v1::Statistics* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Statistics> reply) { intake_->GetStatistics(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* PutPack(grpc::CallbackServerContext* context, const v1::PutPackRequest* request, v1::SchoolPack* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::SchoolPack> reply) { intake_->PutPack(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetPack(grpc::CallbackServerContext* context, const v1::GetPackRequest* request, v1::SchoolPack* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::SchoolPack> reply) { intake_->GetPack(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* ApprovePack(grpc::CallbackServerContext* context, const v1::ReviewPackRequest* request, v1::SchoolPack* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::SchoolPack> reply) { intake_->ApprovePack(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* RejectPack(grpc::CallbackServerContext* context, const v1::ReviewPackRequest* request, v1::SchoolPack* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::SchoolPack> reply) { intake_->RejectPack(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* PutCalendar(grpc::CallbackServerContext* context, const v1::PutCalendarRequest* request, v1::Calendar* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Calendar> reply) { intake_->PutCalendar(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetAttachment(grpc::CallbackServerContext* context, const v1::GetAttachmentRequest* request, v1::AttachmentContent* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<v1::AttachmentContent> reply) { intake_->GetAttachment(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetRecordDocument(grpc::CallbackServerContext* context, const v1::GetRecordDocumentRequest* request, document::v1::Document* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<document::v1::Document> reply) { intake_->GetRecordDocument(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetSchoolRecordDocument(grpc::CallbackServerContext* context, const v1::GetSchoolRecordDocumentRequest* request, document::v1::Document* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<document::v1::Document> reply) { intake_->GetSchoolRecordDocument(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* GetStatisticsDocument(grpc::CallbackServerContext* context, const v1::GetStatisticsRequest* request, document::v1::Document* response) override {
    return Serve(context, response, [&](const Caller& caller, Reply<document::v1::Document> reply) { intake_->GetStatisticsDocument(caller, *request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* OpenCopy(grpc::CallbackServerContext* context, const v1::OpenCopyRequest* request, document::v1::Document* response) override {
    return Serve(context, response, [&](const Caller&, Reply<document::v1::Document> reply) { intake_->OpenCopy(*request, std::move(reply)); });
  }
  grpc::ServerUnaryReactor* RevokeCopies(grpc::CallbackServerContext* context, const v1::RevokeCopiesRequest* request, v1::Case* response) override {
    return Command("RevokeCopies", context, *request, response);
  }

 private:
  template <typename Response, typename Start>
  grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context, Response* response, const Start& start) {
    if (absl::Status peer = rpc::RequirePeer(*context, {"gateway", "operator"}); !peer.ok()) return rpc::ReplyNow(context, peer);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    start(CallerOf(*context), [reactor, response](absl::StatusOr<Response> result) {
      if (result.ok()) *response = *std::move(result);
      rpc::Reply(reactor, result.status());
    });
    return reactor;
  }

  template <typename Request>
  grpc::ServerUnaryReactor* Command(const char* method, grpc::CallbackServerContext* context, const Request& request, v1::Case* response) {
    static const std::string permission = PermissionOf(method);  // one method a request type
    return Serve(context, response, [&](const Caller& caller, Reply<v1::Case> reply) {
      intake_->Command(caller, request.case_(), permission, EventsFor(request), std::move(reply));
    });
  }

  Intake* const intake_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeHandler(Intake* intake) { return std::make_unique<Handler>(intake); }

}  // namespace vigil::intake
