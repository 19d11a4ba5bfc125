#include "scenario/scene.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "contract/time_conversion.h"
#include "escalation-timer/escalation_timer.h"
#include "notification/notification.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "risk-rules/risk_rules.h"
#include "vigil/api/v1/annotations.pb.h"

namespace vigil::scenario {
namespace {

constexpr char kSchool[] = "school";

const std::map<std::string, std::string>& RoleOf() {
  static const auto& roles = *new std::map<std::string, std::string>{
      {"leader", "leader"},   {"deputy", "deputy"}, {"office", "counselling_office"}, {"grade_head", "grade_head"}, {"class_teacher", "class_teacher"},
      {"teacher", "teacher"}, {"doctor", "school_doctor"}, {"guard", "security"}, {"guard_2", "security"}, {"crisis", "crisis_team"},
      {"assessor", "assessment_group"}, {"administrator", "administrator"}};
  return roles;
}

}  // namespace

// What stands in the log of reports.
class Scene::Reader final : public Service {
 public:
  void OnCommit(const AppliedCommit& applied) override {
    for (const domain::Event& event : applied.commit.events) {
      if (const auto* report = std::get_if<domain::ReportReceived>(&event.body)) received[report->report_id] = *report;
      if (const auto* opening = std::get_if<domain::DocumentOpened>(&event.body)) {
        openings.push_back(absl::StrCat(opening->how, " by ", applied.commit.actor ? applied.commit.actor->person : ""));
      }
    }
    if (applied.file != nullptr && applied.commit.actor) pack_of_last[applied.commit.actor->person] = applied.commit.pack;
  }
  std::map<std::string, std::string> pack_of_last;
  std::map<std::string, domain::ReportReceived> received;
  std::vector<std::string> openings;
};

absl::Time TimeOf(const google::protobuf::Timestamp& t) { return contract::TimeFromProto(t); }

Scene::Scene(absl::Time start) : world(start) {
  std::string directory = (std::filesystem::temp_directory_path() / "vigil-scene-XXXXXX").string();
  EXPECT_NE(mkdtemp(directory.data()), nullptr);
  directory_ = directory;
  answers_ = *IdempotencyIndex::Open(directory_ + "/answers.db");
  blobs_ = *BlobStore::Open(directory_ + "/attachments");
  keys_ = world.keys().Connect();
  notice_keys_ = world.keys().Connect();
  list_keeper_ = std::make_unique<break_glass::ListKeeper>(&emergency_list_, keys_.get());
  MakeBreakGlass();

  intake = &world.Run({.source = "intake",
                       .make =
                           [this](Node& node) {
                             intake::IntakeDependencies dependencies{.keys = keys_.get(),
                                                                     .outbox = &outbox_,
                                                                     .answers = answers_.get(),
                                                                     .blobs = blobs_.get(),
                                                                     .random = &world.random(),
                                                                     .worker = node.AddLoop(),
                                                                     .check_in_key = "a key for the codes of places"};
                             dependencies.break_glass = break_glass_.get();
                             dependencies.emergency_list = list_keeper_.get();
                             dependencies.installation_key = *SealingKey::FromBytes(std::string(32, 'k'));
                             return std::make_unique<intake::Intake>(std::move(dependencies));
                           },
                       .attach =
                           [this](Service& service, Machine& machine) {
                             auto& desk = static_cast<intake::Intake&>(service);
                             desk.Attach(&machine);
                             break_glass_->OnRecord([&desk] { desk.OnBreakGlassTick(); });
                             machine.loop()->Post([&desk] { desk.WatchOutbox(); });
                           }});
  risk = &world.Run({.source = "risk", .make = [](Node&) { return std::make_unique<RiskRules>(); }});
  timer = &world.Run({.source = "timer",
                      .make = [this](Node&) { return std::make_unique<EscalationTimer>(&world.pack(), &world.clock(), nullptr); },
                      .attach = [](Service& service, Machine& machine) { static_cast<EscalationTimer&>(service).Attach(&machine); }});
  notice = &world.Run({.source = "notice",
                       .make =
                           [this](Node&) {
                             return std::make_unique<notification::Notification>(
                                 notification::NotificationDependencies{.keys = notice_keys_.get(), .providers = {&phones}});
                           },
                       .attach = [](Service& service, Machine& machine) { static_cast<notification::Notification&>(service).Attach(&machine); }});

  reader_ = &world.Run({.source = "audit", .writes = false, .make = [](Node&) { return std::make_unique<Reader>(); }});

  std::vector<api::PersonInput> people;
  for (const auto& [id, role] : RoleOf()) {
    api::PersonInput person = Person(id, "staff", role);
    if (id == "grade_head") person.set_grade("3");
    if (id == "class_teacher" || id == "teacher") person.set_class_("3-2");
    people.push_back(std::move(person));
  }
  for (const auto& [id, name] : std::initializer_list<std::pair<const char*, const char*>>{{"child", "小明"}, {"twin", "小红"}, {"other_twin", "小红"}}) {
    api::PersonInput person = Person(id, "student", "");
    person.set_name(name);
    person.clear_phone();
    person.set_grade("3");
    person.set_class_("3-2");
    people.push_back(std::move(person));
  }
  int order = 0;
  for (const auto& [id, of] : std::initializer_list<std::pair<const char*, const char*>>{
           {"mother", "child"}, {"father", "child"}, {"uncle", "child"}, {"twins_mother", "twin"}}) {
    api::PersonInput person = Person(id, "guardian", "guardian");
    person.set_student_id(of);
    person.set_call_order(++order);
    person.set_excluded(std::string_view(id) == "uncle");
    people.push_back(std::move(person));
  }
  for (const api::PersonInput& person : people) people_.push_back(person.id());
  const absl::Status put = PutPeople(people);
  EXPECT_TRUE(put.ok()) << put;
  list_keeper_->Refresh(intake->machine(), true);
}

void Scene::MakeBreakGlass() {
  break_glass_ = std::make_unique<intake::BreakGlass>(
      intake::BreakGlassOptions{.clock = &world.clock(),
                                .list = &emergency_list_,
                                .records = &break_glass_records_,
                                .every = absl::Seconds(60),
                                .arms = {{"notification", [this](const break_glass::RingOrder& order, const auto& done) { ringer_.Ring(order, done); }}}});
}

void Scene::Watch(absl::Duration span) {
  for (const absl::Time end = now() + span; now() < end;) {
    world.Advance(absl::Seconds(1));
    break_glass_->Tick();
    world.Settle();
  }
}

std::vector<std::string> Scene::RungInEmergency() const {
  std::vector<std::string> people;
  for (const auto& order : emergency_phones.placed()) {
    std::string person = PersonOf(order.to);
    if (std::find(people.begin(), people.end(), person) == people.end()) people.push_back(std::move(person));
  }
  return people;
}

void Scene::TakeInEmergency(const std::string& person) {
  const auto placed = emergency_phones.placed();
  const auto order = std::find_if(placed.rbegin(), placed.rend(), [&](const auto& o) { return PersonOf(o.to) == person; });
  ASSERT_NE(order, placed.rend()) << person << " was not rung";
  EXPECT_TRUE(break_glass_->ReceiveCallback(nlohmann::json{{"id", order->id}, {"event", "digits"}, {"digits", "1"}}.dump()).ok());
  world.Settle();
}

Scene::~Scene() {
  // Services before what they hold.
  for (Node* node : {reader_, notice, timer, risk, intake}) node->Kill();
  answers_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

intake::Caller Scene::As(const std::string& who) {
  const auto role = RoleOf().find(who);
  // "leader_a" and "leader_b" are further people with the role.
  const bool further = who.ends_with("_a") || who.ends_with("_b");
  return {.person = who, .role = role != RoleOf().end() ? role->second : further ? who.substr(0, who.size() - 2) : "guardian", .school = kSchool};
}

intake::Caller Scene::As(const std::string& who, const std::string& key, const std::string& body) {
  intake::Caller caller = As(who);
  caller.idempotency_key = key;
  caller.body_hash = HexEncode(AsString(Sha256(body)));
  return caller;
}

api::PersonInput Scene::Person(const std::string& id, const std::string& kind, const std::string& role) {
  api::PersonInput person;
  person.set_id(id);
  person.set_kind(kind);
  if (!role.empty()) person.add_roles(role);
  person.set_name(absl::StrCat("name of ", id));
  person.set_phone(World::PhoneOf(kSchool, id));
  return person;
}

absl::Status Scene::PutPeople(const std::vector<api::PersonInput>& people) {
  api::PutDirectoryRequest request;
  request.set_school(kSchool);
  request.set_school_name("测试小学");
  request.set_duty_phone("02100000000");
  for (const api::PersonInput& person : people) *request.add_people() = person;
  return Ask<api::PutDirectoryResponse>([&](intake::Reply<api::PutDirectoryResponse> reply) { desk().PutDirectory(As("administrator"), request, std::move(reply)); })
      .status();
}

absl::Status Scene::RemovePeople(const std::vector<std::string>& people) {
  api::PutDirectoryRequest request;
  request.set_school(kSchool);
  for (const std::string& person : people) request.add_removed(person);
  return Ask<api::PutDirectoryResponse>([&](intake::Reply<api::PutDirectoryResponse> reply) { desk().PutDirectory(As("administrator"), request, std::move(reply)); })
      .status();
}

absl::Status Scene::TryErase(const std::string& who, const std::string& person) {
  api::ErasePersonRequest request;
  request.set_school(kSchool);
  request.set_person(person);
  return Ask<api::ErasePersonResponse>([&](intake::Reply<api::ErasePersonResponse> reply) { desk().ErasePerson(As(who), request, std::move(reply)); }).status();
}

api::CreateReportRequest Scene::RequestOf(const Saying& saying) {
  api::CreateReportRequest request;
  request.set_school(kSchool);
  if (saying.name.empty()) {
    request.mutable_student()->set_id(saying.student);
  } else {
    request.mutable_student()->set_name(saying.name);
    request.mutable_student()->set_class_(saying.in_class);
  }
  for (const std::string& code : saying.signals) request.add_signals(code);
  for (const std::string& code : saying.factors) request.add_factors(code);
  request.set_claimed_level(saying.level);
  request.set_deteriorating(saying.deteriorating);
  if (saying.discovered != absl::InfinitePast()) contract::TimeToProto(saying.discovered, request.mutable_discovered_time());
  if (saying.in_sight == "nobody") {
    request.mutable_in_sight()->set_nobody(true);
  } else if (!saying.in_sight.empty()) {
    request.mutable_in_sight()->set_staff_id(saying.in_sight);
  }
  request.set_home_unsafe(saying.home_unsafe);
  return request;
}

absl::StatusOr<api::CreateReportResponse> Scene::TryReport(const intake::Caller& caller, const api::CreateReportRequest& request) {
  return Ask<api::CreateReportResponse>([&](intake::Reply<api::CreateReportResponse> reply) { desk().CreateReport(caller, request, std::move(reply)); });
}

std::string Scene::Report(const std::string& who, const Saying& saying) {
  const auto answer = TryReport(As(who), RequestOf(saying));
  EXPECT_TRUE(answer.ok()) << answer.status();
  if (!answer.ok()) return "";
  last_report_ = answer->report_id();
  return answer->case_id();
}

absl::StatusOr<api::Attachment> Scene::TryAttach(const intake::Caller& caller, const std::string& content) {
  api::StoreAttachmentRequest request;
  request.set_school(kSchool);
  request.set_content(content);
  return Ask<api::Attachment>([&](intake::Reply<api::Attachment> reply) { desk().StoreAttachment(caller, request, std::move(reply)); });
}

absl::StatusOr<api::AttachmentContent> Scene::TryReadAttachment(const intake::Caller& caller, const std::string& id, const std::string& school) {
  api::GetAttachmentRequest request;
  request.set_school(school);
  request.set_id(id);
  return Ask<api::AttachmentContent>([&](intake::Reply<api::AttachmentContent> reply) { desk().GetAttachment(caller, request, std::move(reply)); });
}

absl::StatusOr<document::v1::Document> Scene::Document(const intake::Caller& caller, const std::string& case_id, const std::string& record) {
  api::GetRecordDocumentRequest request;
  request.set_case_(case_id);
  request.set_record(record);
  return Ask<document::v1::Document>([&](intake::Reply<document::v1::Document> reply) { desk().GetRecordDocument(caller, request, std::move(reply)); });
}

absl::StatusOr<document::v1::Document> Scene::SchoolDocument(const std::string& who, const std::string& record) {
  api::GetSchoolRecordDocumentRequest request;
  request.set_school(kSchool);
  request.set_record(record);
  return Ask<document::v1::Document>([&](intake::Reply<document::v1::Document> reply) { desk().GetSchoolRecordDocument(As(who), request, std::move(reply)); });
}

absl::StatusOr<document::v1::Document> Scene::StatisticsDocument(const std::string& who) {
  api::GetStatisticsRequest request;
  request.set_school(kSchool);
  return Ask<document::v1::Document>([&](intake::Reply<document::v1::Document> reply) { desk().GetStatisticsDocument(As(who), request, std::move(reply)); });
}

absl::StatusOr<document::v1::Document> Scene::Copy(const std::string& token) {
  api::OpenCopyRequest request;
  request.set_token(token);
  return Ask<document::v1::Document>([&](intake::Reply<document::v1::Document> reply) { desk().OpenCopy(request, std::move(reply)); });
}

absl::StatusOr<api::ReportReceipt> Scene::Receipt(const std::string& who, const std::string& report) {
  api::GetReportRequest request;
  request.set_school(kSchool);
  request.set_report(report);
  return Ask<api::ReportReceipt>([&](intake::Reply<api::ReportReceipt> reply) { desk().GetReport(As(who), request, std::move(reply)); });
}

absl::StatusOr<api::Case> Scene::TryTake(const std::string& who, const std::string& alert) {
  api::TakeAlertRequest request;
  request.set_alert(alert);
  return Ask<api::Case>([&](intake::Reply<api::Case> reply) { desk().TakeAlert(As(who), request, std::move(reply)); });
}

absl::StatusOr<api::Case> Scene::TryIdentify(const std::string& who, const std::string& case_id, const std::string& student) {
  api::IdentifyStudentRequest request;
  request.set_case_(case_id);
  request.set_id(student);
  return Ask<api::Case>([&](intake::Reply<api::Case> reply) { desk().IdentifyStudent(As(who), request, std::move(reply)); });
}

absl::StatusOr<api::Case> Scene::Confirm(const std::string& who, const std::string& case_id) {
  api::ConfirmInSightRequest request;
  request.set_case_(case_id);
  request.set_staff_id(who);
  return Try(As(who), request);
}

absl::StatusOr<api::Case> Scene::CheckIn(const std::string& who, const std::string& case_id, bool in_sight) {
  api::CheckInRequest request;
  request.set_case_(case_id);
  request.set_in_sight(in_sight);
  request.set_code(desk().PlaceCode(case_id, now()));
  return Try(As(who), request);
}

absl::StatusOr<api::Case> Scene::Offer(const std::string& who, const std::string& case_id, std::vector<std::string> to) {
  api::OfferShiftRequest request;
  request.set_case_(case_id);
  for (const std::string& id : to) request.add_to_staff_ids(id);
  return Try(As(who), request);
}

absl::StatusOr<api::Case> Scene::Accept(const std::string& who, const std::string& case_id) {
  api::AcceptShiftRequest request;
  request.set_case_(case_id);
  return Try(As(who), request);
}

absl::StatusOr<api::Case> Scene::FileReport(const std::string& who, const std::string& case_id) {
  api::FileWrittenReportRequest request;
  request.set_case_(case_id);
  (*request.mutable_fields())["facts"] = "what happened";
  return Try(As(who), request);
}

absl::StatusOr<api::Case> Scene::FileRecord(const std::string& who, const std::string& case_id, const std::string& kind,
                                            std::vector<std::pair<std::string, std::string>> fields) {
  api::FileRecordRequest request;
  request.set_case_(case_id);
  request.set_kind(kind);
  for (const auto& [id, value] : fields) (*request.mutable_fields())[id] = value;
  return Try(As(who), request);
}

absl::StatusOr<api::Record> Scene::FileOfSchool(const std::string& who, const std::string& kind, std::vector<std::pair<std::string, std::string>> fields,
                                                 const std::string& student, const std::string& class_name) {
  api::FileSchoolRecordRequest request;
  request.set_school(kSchool);
  request.set_kind(kind);
  request.set_student(student);
  request.set_class_(class_name);
  for (const auto& [id, value] : fields) (*request.mutable_fields())[id] = value;
  return Ask<api::Record>([&](intake::Reply<api::Record> reply) { desk().FileSchoolRecord(As(who), request, std::move(reply)); });
}

absl::StatusOr<api::Record> Scene::AcknowledgeOfSchool(const std::string& who, const std::string& record) {
  api::AcknowledgeSchoolRecordRequest request;
  request.set_school(kSchool);
  request.set_record(record);
  return Ask<api::Record>([&](intake::Reply<api::Record> reply) { desk().AcknowledgeSchoolRecord(As(who), request, std::move(reply)); });
}

absl::StatusOr<api::ListRecordsResponse> Scene::Records(const std::string& who, const std::string& case_id, const std::string& kind) {
  api::ListRecordsRequest request;
  request.set_case_(case_id);
  request.set_kind(kind);
  return Ask<api::ListRecordsResponse>([&](intake::Reply<api::ListRecordsResponse> reply) { desk().ListRecords(As(who), request, std::move(reply)); });
}

absl::StatusOr<api::ListRecordsResponse> Scene::RecordsOfSchool(const std::string& who, const std::string& kind, const std::string& class_name) {
  api::ListSchoolRecordsRequest request;
  request.set_school(kSchool);
  request.set_kind(kind);
  request.set_class_(class_name);
  return Ask<api::ListRecordsResponse>([&](intake::Reply<api::ListRecordsResponse> reply) { desk().ListSchoolRecords(As(who), request, std::move(reply)); });
}

std::vector<api::Duty> Scene::Duties(const std::string& state, const std::string& duty) {
  api::ListDutiesRequest request;
  request.set_school(kSchool);
  request.set_state(state);
  const auto answer = Ask<api::ListDutiesResponse>([&](intake::Reply<api::ListDutiesResponse> reply) { desk().ListDuties(As("leader"), request, std::move(reply)); });
  EXPECT_TRUE(answer.ok()) << answer.status();
  std::vector<api::Duty> duties;
  if (!answer.ok()) return duties;
  for (const api::Duty& row : answer->duties()) {
    if (duty.empty() || row.duty() == duty) duties.push_back(row);
  }
  return duties;
}

api::Register Scene::SeeRegister() {
  api::GetRegisterRequest request;
  request.set_school(kSchool);
  const auto answer = Ask<api::Register>([&](intake::Reply<api::Register> reply) { desk().GetRegister(As("leader"), request, std::move(reply)); });
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.value_or(api::Register());
}

api::Readiness Scene::SeeReadiness() {
  api::GetReadinessRequest request;
  request.set_school(kSchool);
  const auto answer = Ask<api::Readiness>([&](intake::Reply<api::Readiness> reply) { desk().GetReadiness(As("leader"), request, std::move(reply)); });
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.value_or(api::Readiness());
}

api::Statistics Scene::SeeStatistics() {
  api::GetStatisticsRequest request;
  request.set_school(kSchool);
  const auto answer = Ask<api::Statistics>([&](intake::Reply<api::Statistics> reply) { desk().GetStatistics(As("leader"), request, std::move(reply)); });
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.value_or(api::Statistics());
}

absl::Status Scene::PutCalendar(const std::vector<std::pair<std::string, std::string>>& terms, const std::vector<std::pair<std::string, std::string>>& holidays) {
  api::PutCalendarRequest request;
  request.set_school(kSchool);
  for (const auto& [from, to] : terms) {
    request.add_terms()->set_from_date(from);
    request.mutable_terms()->rbegin()->set_to_date(to);
  }
  for (const auto& [from, to] : holidays) {
    request.add_holidays()->set_from_date(from);
    request.mutable_holidays()->rbegin()->set_to_date(to);
  }
  return Ask<api::Calendar>([&](intake::Reply<api::Calendar> reply) { desk().PutCalendar(As("leader"), request, std::move(reply)); }).status();
}

absl::StatusOr<api::Case> Scene::HandOver(const std::string& who, const std::string& case_id, const std::string& guardian, bool identity_checked) {
  api::HandOverToGuardianRequest request;
  request.set_case_(case_id);
  request.set_guardian_id(guardian);
  request.set_identity_checked(identity_checked);
  (*request.mutable_fields())["child_state"] = "calm";
  (*request.mutable_fields())["destination"] = "home";
  request.add_signatures("teacher");
  request.add_signatures("guardian");
  return Try(As(who), request);
}

absl::StatusOr<api::Case> Scene::Assess(const std::string& who, const std::string& case_id, const std::string& level, const std::string& kind,
                                        bool face_to_face, std::vector<std::string> members) {
  api::AssessRequest request;
  request.set_case_(case_id);
  request.set_level(level);
  request.set_kind(kind);
  for (const std::string& member : members) request.add_members(member);
  request.set_face_to_face(face_to_face);
  request.set_rationale("as seen");
  return Try(As(who), request);
}

absl::StatusOr<api::Case> Scene::CorrectDiscovery(const std::string& case_id, absl::Time discovered) {
  api::CorrectDiscoveryRequest request;
  request.set_case_(case_id);
  contract::TimeToProto(discovered, request.mutable_discovered_time());
  request.set_reason("told to the duty teacher the day before");
  return Try(As("leader"), request);
}

absl::StatusOr<api::Case> Scene::Spoke(const std::string& who, const std::string& case_id, const std::string& superior) {
  api::RecordPhoneReportRequest request;
  request.set_case_(case_id);
  request.set_with_staff_id(superior);
  contract::TimeToProto(now(), request.mutable_spoken_time());
  return Try(As(who), request);
}

absl::StatusOr<api::Case> Scene::GuardianComes(const std::string& who, const std::string& case_id, const std::string& guardian, absl::Duration in) {
  api::RecordGuardianContactRequest request;
  request.set_case_(case_id);
  request.set_guardian_id(guardian);
  request.set_outcome("reached");
  contract::TimeToProto(now() + in, request.mutable_arrival_time());
  return Try(As(who), request);
}

void Scene::CheckInUntil(absl::Time until, const std::string& who, const std::string& case_id) {
  while (now() < until) {
    Wait(std::min(absl::Minutes(10), until - now()));
    const auto checked = CheckIn(who, case_id);
    ASSERT_TRUE(checked.ok()) << checked.status();
  }
}

void Scene::KeepUntil(absl::Time until, const std::string& guard, const std::string& case_id) {
  while (now() < until) {
    Wait(std::min(absl::Minutes(10), until - now()));
    const auto checked = CheckIn(guard, case_id);
    ASSERT_TRUE(checked.ok()) << checked.status();
    for (const api::AlertView& alert : checked->alerts()) {
      const domain::LadderRow* ladder = world.pack().FindLadder(alert.ladder());
      if (alert.state() != "open" || !ladder->takeable) continue;
      const auto taken = TryTake("leader", alert.id());
      ASSERT_TRUE(taken.ok()) << alert.ladder() << ": " << taken.status();
    }
  }
}

void Scene::FileReturnDocuments(const std::string& case_id) {
  const auto file = [&](const std::string& who, const std::string& kind, const std::vector<std::pair<std::string, std::string>>& fields) {
    const auto filed = FileRecord(who, case_id, kind, fields);
    ASSERT_TRUE(filed.ok()) << kind << ": " << filed.status();
  };
  file("leader", "return_application", {{"applied_by", "mother"}, {"enrolment_complete", "true"}});
  file("office", "recovery_certificate", {{"issuer", "a hospital"}, {"recognised", "listed"}, {"doctor", "a doctor"}, {"dated", "2026-03-01"}, {"verified_by", "office, doctor"}});
  file("office", "return_assessment", {{"members", "office, assessor"}, {"finding", "may return"}});
  file("class_teacher", "return_plan", {{"arrangements", "half days"}, {"classmates", "no questions"}});
  file("class_teacher", "return_guardians", {{"adults", "class_teacher, teacher"}, {"student_helper", "twin"}});
  file("office", "contingency_plan", {{"triggers", "x"}, {"warning_signs", "x"}, {"contacts", "x"}, {"means_safety", "x"}, {"hospital", "x"}});
}

void Scene::TakeAndHandOver(const std::string& case_id) {
  ASSERT_TRUE(Alert(case_id, "severe_ladder").has_value());
  ASSERT_TRUE(TryTake("leader", Alert(case_id, "severe_ladder")->id()).ok());
  ASSERT_TRUE(Spoke("teacher", case_id, "leader").ok());
  ASSERT_TRUE(HandOver("leader", case_id, "mother").ok());
}

void Scene::CloseAfterHandover(const std::string& case_id) {
  ASSERT_TRUE(FileReport("teacher", case_id).ok());
  api::ReceiveWrittenReportRequest receive;
  receive.set_case_(case_id);
  ASSERT_TRUE(Try(As("office"), receive).ok());
  for (const char* kind : {"aftercare_contact", "aftercare_morning"}) {
    const auto filed = FileRecord("office", case_id, kind, {{"reached", "mother"}, {"arrived_safely", "true"}});
    ASSERT_TRUE(filed.ok()) << filed.status();
  }
  ASSERT_TRUE(FileRecord("office", case_id, "aftercare_doctor", {{"seen", "true"}}).ok());
  Wait(notification::kSentGrid);  // that calls left stands in the log
  api::CloseRequest close;
  close.set_case_(case_id);
  close.set_reason("well again");
  const auto closed = Try(As("leader"), close);
  ASSERT_TRUE(closed.ok()) << closed.status();
}

std::optional<domain::ReportReceived> Scene::ReceivedReport(const std::string& report_id) {
  const auto& received = reader_->service<Reader>().received;
  const auto it = received.find(report_id);
  return it == received.end() ? std::nullopt : std::optional(it->second);
}

std::vector<std::string> Scene::Openings() { return reader_->service<Reader>().openings; }

std::string Scene::PackOfLastCommit(const std::string& person) const {
  const auto& packs = reader_->service<Reader>().pack_of_last;
  const auto it = packs.find(person);
  return it == packs.end() ? "" : it->second;
}

absl::StatusOr<api::SchoolPack> Scene::PutPack(const std::string& who, const std::string& overlay) {
  api::PutPackRequest request;
  request.set_school(kSchool);
  request.set_overlay(overlay);
  return Ask<api::SchoolPack>([&](intake::Reply<api::SchoolPack> reply) { desk().PutPack(As(who), request, std::move(reply)); });
}

absl::StatusOr<api::SchoolPack> Scene::SeePack(const std::string& who) {
  api::GetPackRequest request;
  request.set_school(kSchool);
  return Ask<api::SchoolPack>([&](intake::Reply<api::SchoolPack> reply) { desk().GetPack(As(who), request, std::move(reply)); });
}

absl::StatusOr<api::SchoolPack> Scene::ApprovePack(const std::string& who, const std::string& digest) {
  api::ReviewPackRequest request;
  request.set_school(kSchool);
  request.set_digest(digest);
  return Ask<api::SchoolPack>([&](intake::Reply<api::SchoolPack> reply) { desk().ApprovePack(As(who), request, std::move(reply)); });
}

absl::StatusOr<api::SchoolPack> Scene::RejectPack(const std::string& who, const std::string& digest) {
  api::ReviewPackRequest request;
  request.set_school(kSchool);
  request.set_digest(digest);
  return Ask<api::SchoolPack>([&](intake::Reply<api::SchoolPack> reply) { desk().RejectPack(As(who), request, std::move(reply)); });
}

std::string Scene::BytesOnDisk() const {
  std::string bytes;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    bytes.append(std::istreambuf_iterator<char>(file), {});
  }
  return bytes;
}

absl::StatusOr<api::Case> Scene::ApproveReturn(const std::string& who, const std::string& case_id, std::vector<std::pair<std::string, std::string>> fields) {
  api::ApproveReturnRequest request;
  request.set_case_(case_id);
  for (const auto& [id, value] : fields) (*request.mutable_fields())[id] = value;
  return Try(As(who), request);
}

absl::StatusOr<api::Case> Scene::TrySee(const std::string& who, const std::string& case_id) {
  api::CaseRequest request;
  request.set_case_(case_id);
  return Ask<api::Case>([&](intake::Reply<api::Case> reply) { desk().GetCase(As(who), request, std::move(reply)); });
}

api::ListClocksResponse Scene::Clocks(const std::string& case_id) {
  api::CaseRequest request;
  request.set_case_(case_id);
  const auto answer = Ask<api::ListClocksResponse>([&](intake::Reply<api::ListClocksResponse> reply) { desk().ListClocks(As("leader"), request, std::move(reply)); });
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.value_or(api::ListClocksResponse());
}

api::Custody Scene::Custody(const std::string& case_id) {
  api::CaseRequest request;
  request.set_case_(case_id);
  const auto answer = Ask<api::Custody>([&](intake::Reply<api::Custody> reply) { desk().GetCustody(As("leader"), request, std::move(reply)); });
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.value_or(api::Custody());
}

api::Case Scene::See(const std::string& case_id) {
  const auto answer = TrySee("leader", case_id);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.value_or(api::Case());
}

std::optional<api::ClockView> Scene::Clock(const std::string& case_id, std::string_view kind, int trigger) {
  std::optional<api::ClockView> found;
  const api::Case view = See(case_id);
  for (const api::ClockView& clock : view.clocks()) {
    if (clock.kind() == kind && (trigger == 0 || clock.trigger() == trigger)) found = clock;
  }
  return found;
}

std::string Scene::ClockState(const std::string& case_id, std::string_view kind, int trigger) {
  const auto clock = Clock(case_id, kind, trigger);
  return clock ? clock->state() : "";
}

absl::Time Scene::Due(const std::string& case_id, std::string_view kind, int trigger) {
  const auto clock = Clock(case_id, kind, trigger);
  EXPECT_TRUE(clock.has_value()) << kind;
  return clock ? TimeOf(clock->due_time()) : absl::InfinitePast();
}

std::optional<api::AlertView> Scene::Alert(const std::string& case_id, std::string_view ladder) {
  std::optional<api::AlertView> found;
  const api::Case view = See(case_id);
  for (const api::AlertView& alert : view.alerts()) {
    if (alert.ladder() == ladder && alert.state() != "closed") found = alert;
  }
  return found;
}

bool Scene::Rings(const std::string& case_id, std::string_view ladder) {
  const auto alert = Alert(case_id, ladder);
  return alert && alert->state() == "open";
}

std::string Scene::PersonOf(const std::string& number) const {
  for (const std::string& person : people_) {
    if (World::PhoneOf(kSchool, person) == number) return person;
  }
  return number;
}

std::vector<std::string> Scene::Rung(const std::string& channel) const {
  std::vector<std::string> people;
  const auto placed = phones.placed();
  for (std::size_t i = heard_; i < placed.size(); ++i) {
    if (placed[i].channel != channel) continue;
    std::string person = PersonOf(placed[i].to);
    if (std::find(people.begin(), people.end(), person) == people.end()) people.push_back(std::move(person));
  }
  return people;
}

void Scene::Tell(const std::string& person, const std::string& channel, const std::string& event, const std::string& digits, const std::string& text) {
  const auto placed = phones.placed();
  const auto order = std::find_if(placed.rbegin(), placed.rend(), [&](const auto& o) { return o.channel == channel && PersonOf(o.to) == person; });
  ASSERT_NE(order, placed.rend()) << person << " was not reached by " << channel;
  nlohmann::json body{{"id", order->id}, {"event", event}};
  if (!digits.empty()) body["digits"] = digits;
  if (!text.empty()) body["text"] = text;
  const auto answered = std::make_shared<std::optional<absl::Status>>();
  notice->service<notification::Notification>().ReceiveCallback(channel, body.dump(), [answered](absl::Status status) { *answered = std::move(status); });
  world.Advance(absl::Milliseconds(200));
  ASSERT_TRUE(answered->has_value());
  EXPECT_TRUE((*answered)->ok()) << **answered;
}

void Scene::Press(const std::string& person, const std::string& key) {
  Tell(person, "call", "answered");
  Tell(person, "call", "digits", key);
}

void Scene::RestartIntake() {
  intake->Kill();
  MakeBreakGlass();
  // What it remembers of answers is on its disk.
  answers_.reset();
  answers_ = *IdempotencyIndex::Open(directory_ + "/answers.db");
  intake->Start();
  world.Settle();
}

std::uint64_t Scene::Commits() const { return timer->machine().statistics().commits; }

std::string Scene::PermissionOf(const google::protobuf::Descriptor* request) {
  const google::protobuf::ServiceDescriptor* service = request->file()->FindServiceByName("IntakeService");
  for (int i = 0; i < service->method_count(); ++i) {
    if (service->method(i)->input_type() == request) return service->method(i)->options().GetExtension(::vigil::api::v1::http).permission();
  }
  ADD_FAILURE() << "no method takes a " << request->name();
  return "";
}

}  // namespace vigil::scenario
