// A school with its services, as its people meet them: what they do goes through intake's API, what they hear comes by phone. Times are those of
// a clock that the test moves; nothing sleeps.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "intake/break_glass.h"
#include "intake/commands.h"
#include "intake/intake.h"
#include "notification/break_glass/emergency_list.h"
#include "notification/break_glass/list_keeper.h"
#include "notification/break_glass/ringer.h"
#include "notification/channels/fake/fake_provider.h"
#include "platform/crypto/seal.h"
#include "platform/outbox/idempotency_index.h"
#include "platform/outbox/outbox.h"
#include "scenario/support/world.h"

namespace vigil::scenario {

namespace api = ::vigil::intake::v1;

// What a reporter enters; what is left out is left out of the request.
struct Saying {
  std::vector<std::string> signals;
  std::vector<std::string> factors = {};
  std::string level = {};
  bool deteriorating = false;
  absl::Time discovered = absl::InfinitePast();
  // "": not asked; "nobody": not seen; else the adult with the child.
  std::string in_sight = {};
  api::HomeUnsafe home_unsafe = api::HOME_UNSAFE_UNSPECIFIED;
  std::string student = "child";
  // Instead of the id.
  std::string name = {};
  std::string in_class = {};
};

class Scene {
 public:
  // leader, deputy, office, grade_head (grade 3), class_teacher (3-2), teacher, doctor, guard, guard_2, crisis, assessor, administrator; child
  // ("小明", 3-2) with mother, father and the excluded uncle; twin and other_twin ("小红", both 3-2), and their mother.
  explicit Scene(absl::Time start = At("2026-03-10 10:00"));
  ~Scene();

  absl::Time now() const { return world.now(); }
  void Wait(absl::Duration span) { world.Advance(span); }
  void WaitUntil(absl::Time instant) { world.AdvanceTo(instant); }

  // `who` acts in their role.
  static intake::Caller As(const std::string& who);
  // With an Idempotency-Key and the digest of a body.
  static intake::Caller As(const std::string& who, const std::string& key, const std::string& body);

  static api::CreateReportRequest RequestOf(const Saying& saying);
  absl::StatusOr<api::CreateReportResponse> TryReport(const intake::Caller& caller, const api::CreateReportRequest& request);
  // A report that must be accepted. Its case.
  std::string Report(const std::string& who, const Saying& saying);
  std::string last_report() const { return last_report_; }
  absl::StatusOr<api::Attachment> TryAttach(const intake::Caller& caller, const std::string& content);
  absl::StatusOr<api::AttachmentContent> TryReadAttachment(const intake::Caller& caller, const std::string& id, const std::string& school = "school");
  // A record on paper, and a guardian's copy of it by what its address holds.
  absl::StatusOr<document::v1::Document> Document(const intake::Caller& caller, const std::string& case_id, const std::string& record);
  absl::StatusOr<document::v1::Document> SchoolDocument(const std::string& who, const std::string& record);
  absl::StatusOr<document::v1::Document> StatisticsDocument(const std::string& who);
  absl::StatusOr<document::v1::Document> Copy(const std::string& token);
  // As the log tells: "printed by leader", in order.
  std::vector<std::string> Openings();
  absl::StatusOr<api::ReportReceipt> Receipt(const std::string& who, const std::string& report);

  template <typename Request>
  absl::StatusOr<api::Case> Try(const intake::Caller& caller, const Request& request) {
    return Ask<api::Case>([&](intake::Reply<api::Case> reply) {
      desk().Command(caller, request.case_(), PermissionOf(Request::descriptor()), intake::EventsFor(request), std::move(reply));
    });
  }
  absl::StatusOr<api::Case> TryTake(const std::string& who, const std::string& alert);
  absl::StatusOr<api::Case> TryIdentify(const std::string& who, const std::string& case_id, const std::string& student);
  absl::Status PutPeople(const std::vector<api::PersonInput>& people);
  absl::Status RemovePeople(const std::vector<std::string>& people);
  absl::Status TryErase(const std::string& who, const std::string& person);
  // Of what is sealed for that subject ("school.child", a file, "school.<attachment>").
  bool HasKey(const std::string& subject) { return world.keys().Connect()->Find(subject).ok(); }
  std::string KeyHash(const std::string& subject) { return world.keys().Connect()->KeyHash(subject).value_or(""); }
  static api::PersonInput Person(const std::string& id, const std::string& kind, const std::string& role);

  // The frequent commands.
  absl::StatusOr<api::Case> Confirm(const std::string& who, const std::string& case_id);
  absl::StatusOr<api::Case> CheckIn(const std::string& who, const std::string& case_id, bool in_sight = true);
  absl::StatusOr<api::Case> Offer(const std::string& who, const std::string& case_id, std::vector<std::string> to);
  absl::StatusOr<api::Case> Accept(const std::string& who, const std::string& case_id);
  absl::StatusOr<api::Case> FileReport(const std::string& who, const std::string& case_id);
  absl::StatusOr<api::Case> FileRecord(const std::string& who, const std::string& case_id, const std::string& kind,
                                       std::vector<std::pair<std::string, std::string>> fields);
  // A command whose request is a form: signAgreement, applyForLeave and their like.
  template <typename Request>
  absl::StatusOr<api::Case> Form(const std::string& who, const std::string& case_id, const std::vector<std::pair<std::string, std::string>>& fields) {
    Request request;
    request.set_case_(case_id);
    for (const auto& [id, value] : fields) (*request.mutable_fields())[id] = value;
    return Try(As(who), request);
  }
  // Records and duties of the school itself.
  absl::StatusOr<api::Record> FileOfSchool(const std::string& who, const std::string& kind, std::vector<std::pair<std::string, std::string>> fields,
                                           const std::string& student = "", const std::string& class_name = "");
  absl::StatusOr<api::ListCasesResponse> List(const api::ListCasesRequest& request) {
    return Ask<api::ListCasesResponse>([&](intake::Reply<api::ListCasesResponse> reply) { desk().ListCases(As("leader"), request, std::move(reply)); });
  }
  absl::StatusOr<api::Record> AcknowledgeOfSchool(const std::string& who, const std::string& record);
  absl::StatusOr<api::ListRecordsResponse> Records(const std::string& who, const std::string& case_id, const std::string& kind = "");
  absl::StatusOr<api::ListRecordsResponse> RecordsOfSchool(const std::string& who, const std::string& kind, const std::string& class_name = "");
  // Those of one row, or all.
  std::vector<api::Duty> Duties(const std::string& state, const std::string& duty = "");
  absl::Status EraseKey(const std::string& person) { return keys_->Erase("school." + person); }
  api::Register SeeRegister();
  api::Readiness SeeReadiness();
  api::Statistics SeeStatistics();
  // The school's own pack.
  absl::StatusOr<api::SchoolPack> PutPack(const std::string& who, const std::string& overlay);
  absl::StatusOr<api::SchoolPack> SeePack(const std::string& who);
  absl::StatusOr<api::SchoolPack> ApprovePack(const std::string& who, const std::string& digest);
  absl::StatusOr<api::SchoolPack> RejectPack(const std::string& who, const std::string& digest);
  // Digest of the pack in the last commit that this person made about a case.
  std::string PackOfLastCommit(const std::string& person) const;
  absl::Status PutCalendar(const std::vector<std::pair<std::string, std::string>>& terms, const std::vector<std::pair<std::string, std::string>>& holidays);

  absl::StatusOr<api::Case> HandOver(const std::string& who, const std::string& case_id, const std::string& guardian, bool identity_checked = true);
  absl::StatusOr<api::Case> Assess(const std::string& who, const std::string& case_id, const std::string& level, const std::string& kind = "group",
                                   bool face_to_face = true, std::vector<std::string> members = {"assessor", "office"});
  absl::StatusOr<api::Case> CorrectDiscovery(const std::string& case_id, absl::Time discovered);
  absl::StatusOr<api::Case> Spoke(const std::string& who, const std::string& case_id, const std::string& superior);
  absl::StatusOr<api::Case> GuardianComes(const std::string& who, const std::string& case_id, const std::string& guardian, absl::Duration in);
  // The guard answers every ten minutes until then.
  void CheckInUntil(absl::Time until, const std::string& who, const std::string& case_id);

  // The guard answers every ten minutes, and the leader takes whatever rings, until then.
  void KeepUntil(absl::Time until, const std::string& guard, const std::string& case_id);

  // A severe case is taken, spoken of, and the child is with the mother; then all that is owed is done, and it is closed.
  void TakeAndHandOver(const std::string& case_id);
  // What a return needs to be on the case.
  void FileReturnDocuments(const std::string& case_id);
  void CloseAfterHandover(const std::string& case_id);
  absl::StatusOr<api::Case> ApproveReturn(const std::string& who, const std::string& case_id, std::vector<std::pair<std::string, std::string>> fields);

  // What somebody sees who may read cases.
  absl::StatusOr<api::Case> TrySee(const std::string& who, const std::string& case_id);
  api::ListClocksResponse Clocks(const std::string& case_id);
  api::Custody Custody(const std::string& case_id);
  // What the leader sees.
  api::Case See(const std::string& case_id);
  std::optional<api::ClockView> Clock(const std::string& case_id, std::string_view kind, int trigger = 0);
  std::string ClockState(const std::string& case_id, std::string_view kind, int trigger = 0);
  absl::Time Due(const std::string& case_id, std::string_view kind, int trigger = 0);
  // The newest alert of the ladder that is not closed.
  std::optional<api::AlertView> Alert(const std::string& case_id, std::string_view ladder);
  bool Rings(const std::string& case_id, std::string_view ladder);

  // Who has been called (or, by "sms", written to) since the last Hush, in order, each once.
  std::vector<std::string> Rung(const std::string& channel = "call") const;
  void Hush() { heard_ = phones.placed().size(); }
  // The provider tells of the last call or message to that person.
  void Tell(const std::string& person, const std::string& channel, const std::string& event, const std::string& digits = "", const std::string& text = "");
  // Answers the call and presses a key.
  void Press(const std::string& person, const std::string& key);

  // Break-glass looks each second of this while, as its thread would. It is idle otherwise.
  void Watch(absl::Duration span);
  // Who has been rung from the emergency list, in order, each once.
  std::vector<std::string> RungInEmergency() const;
  // That person presses 1 on the last such call.
  void TakeInEmergency(const std::string& person);

  // As it stands in the log.
  std::optional<domain::ReportReceived> ReceivedReport(const std::string& report_id);
  // Everything that intake has written to its disk.
  std::string BytesOnDisk() const;

  // Intake is killed and comes back.
  void RestartIntake();
  intake::Intake& desk() { return intake->service<intake::Intake>(); }
  // Everything that any service has appended.
  std::uint64_t Commits() const;

  World world;
  notification::FakeProvider phones{"phones"};
  // Where break-glass calls go; the list is what the directory gave when the scene began.
  notification::FakeProvider emergency_phones{"emergency"};
  Node* intake = nullptr;
  Node* risk = nullptr;
  Node* timer = nullptr;
  Node* notice = nullptr;

 private:
  class Reader;

  template <typename Response>
  absl::StatusOr<Response> Ask(const std::function<void(intake::Reply<Response>)>& start) {
    const auto answer = std::make_shared<std::optional<absl::StatusOr<Response>>>();
    start([answer](absl::StatusOr<Response> response) { *answer = std::move(response); });
    world.Settle();
    // Work of a service's other loops may need another turn.
    for (int i = 0; i < 8 && !answer->has_value(); ++i) world.Settle();
    return answer->has_value() ? **answer : absl::StatusOr<Response>(absl::DeadlineExceededError("not answered"));
  }
  static std::string PermissionOf(const google::protobuf::Descriptor* request);
  std::string PersonOf(const std::string& number) const;
  void MakeBreakGlass();

  std::unique_ptr<KeyStore> keys_;
  break_glass::EmergencyList emergency_list_{"", *SealingKey::FromBytes(std::string(32, 'k')), &world.random()};
  std::unique_ptr<break_glass::ListKeeper> list_keeper_;
  break_glass::Ringer ringer_{&world.pack(), &emergency_list_, {&emergency_phones}, nullptr};
  FakeOutbox break_glass_records_;
  std::unique_ptr<intake::BreakGlass> break_glass_;
  std::unique_ptr<KeyStore> notice_keys_;
  FakeOutbox outbox_;
  Node* reader_ = nullptr;
  std::string directory_;
  std::unique_ptr<IdempotencyIndex> answers_;
  std::unique_ptr<BlobStore> blobs_;
  std::vector<std::string> people_;
  std::string last_report_;
  std::size_t heard_ = 0;
};

// The instant of a view's field, absl's.
absl::Time TimeOf(const google::protobuf::Timestamp& t);

}  // namespace vigil::scenario
