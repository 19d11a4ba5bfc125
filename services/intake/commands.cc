#include "intake/commands.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "contract/time_conversion.h"
#include "domain/clocks.h"
#include "domain/file.h"
#include "domain/form.h"
#include "domain/record.h"
#include "domain/school_time.h"
#include "platform/rpc/problem.h"

namespace vigil::intake {
namespace {

using Context = Intake::CommandContext;
using Events = absl::StatusOr<std::vector<domain::Event>>;
using nlohmann::json;

constexpr std::size_t kMaxShifts = 100;

template <typename Body>
Events One(Body body) {
  std::vector<domain::Event> events;
  events.push_back(domain::Event{std::move(body)});
  return events;
}

absl::Status KnownStaff(const Context& context, const std::string& id, std::string_view field) {
  const auto it = context.school.people.find(id);
  if (it == context.school.people.end() || it->second.kind != domain::PersonKind::kStaff) {
    return rpc::InvalidField(field, "unknown staff member");
  }
  return absl::OkStatus();
}

bool May(const Context& context, std::string_view permission) {
  const auto role = context.in_force.roles.find(context.caller.role);
  return role != context.in_force.roles.end() && std::find(role->second.may.begin(), role->second.may.end(), permission) != role->second.may.end();
}

absl::Status OneOf(const std::string& value, std::string_view field, std::initializer_list<std::string_view> choices) {
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return absl::OkStatus();
  std::string listed;
  for (const std::string_view choice : choices) absl::StrAppend(&listed, listed.empty() ? "" : ", ", absl::string_view(choice.data(), choice.size()));
  return rpc::InvalidField(field, absl::StrCat("is one of: ", listed));
}

const domain::RecordRow* FormFiledBy(const Context& context, std::string_view method) {
  for (const auto& [id, row] : context.pack.records) {
    if (row.filed_by == method || row.command == method) return &row;
  }
  return nullptr;
}

domain::Fields FieldsIn(const google::protobuf::Map<std::string, std::string>& fields) { return {fields.begin(), fields.end()}; }

absl::Status CheckForm(const Context& context, const domain::RecordRow& row, const google::protobuf::Map<std::string, std::string>& fields, bool lenient) {
  return FormRefusal(domain::CheckForm(row, FieldsIn(fields), context.school, context.now, lenient));
}

json FieldsOf(const google::protobuf::Map<std::string, std::string>& fields) {
  json object = json::object();
  for (const auto& [id, value] : fields) object[id] = value;
  return object;
}

// Filed after the clock that it meets was due: stays marked late (REP-15).
bool IsLate(const Context& context, const std::string& kind) {
  const domain::FactDetail filed{.fact = domain::Fact::kRecordFiled, .argument = kind};
  for (const domain::ClockState& clock : context.file.state.current->clocks) {
    const domain::ClockRow* row = context.pack.FindClock(clock.kind);
    if (row == nullptr || !domain::IsOwed(clock) || !domain::Matches(row->met_by, filed)) continue;
    return domain::IsSet(clock.due_time) && context.now > clock.due_time;
  }
  return false;
}

absl::StatusOr<domain::Event> Record(const Context& context, const domain::RecordRow& row, const json& content) {
  auto sealed = context.Seal(content.dump());
  if (!sealed.ok()) return sealed.status();
  domain::RecordFiled filed{.record_id = context.Id('d'), .kind = row.id};
  filed.fields = *std::move(sealed);
  filed.late = IsLate(context, row.id);
  return domain::Event{std::move(filed)};
}

absl::StatusOr<std::optional<domain::Sealed>> SealIfAny(const Context& context, const std::string& text) {
  if (text.empty()) return std::optional<domain::Sealed>();
  auto sealed = context.Seal(text);
  if (!sealed.ok()) return sealed.status();
  return std::optional<domain::Sealed>(*std::move(sealed));
}

absl::Status Attach(const Context& context, const google::protobuf::RepeatedPtrField<std::string>& ids, domain::Event& filed) {
  auto attachments = context.intake.Attachments(context.file.state.school, ids);
  if (!attachments.ok()) return attachments.status();
  std::get<domain::RecordFiled>(filed.body).attachments = *std::move(attachments);
  return absl::OkStatus();
}

#define VIGIL_RETURN_IF_ERROR(expression) \
  if (absl::Status status_ = (expression); !status_.ok()) return status_

}  // namespace

Intake::MakeEvents EventsFor(const v1::RecordPhoneReportRequest& request) {
  return [request](const Context& context) -> Events {
    VIGIL_RETURN_IF_ERROR(KnownStaff(context, request.with_staff_id(), "with_staff_id"));
    const absl::Time spoken = contract::TimeFromProto(request.spoken_time());
    if (spoken > context.now + context.pack.clock_tolerance) return rpc::InvalidField("spoken_time", "lies in the future");
    // A superior is whoever may take alerts; two colleagues talking to each other is not the phone report.
    const auto superior = context.school.people.at(request.with_staff_id());
    const bool may_take = std::any_of(superior.roles.begin(), superior.roles.end(), [&](const std::string& role) {
      const auto row = context.in_force.roles.find(role);
      return row != context.in_force.roles.end() && std::find(row->second.may.begin(), row->second.may.end(), "alert.take") != row->second.may.end();
    });
    if (!may_take) return rpc::InvalidField("with_staff_id", "is not a superior who takes such reports");
    std::string reporter = context.caller.person;
    for (const domain::ReportState& report : context.file.state.current->reports) reporter = report.reporter;
    return One(domain::Spoken{.superior = request.with_staff_id(), .reporter = reporter, .spoken_time = std::min(spoken, context.now), .how = "recorded"});
  };
}

Intake::MakeEvents EventsFor(const v1::ConfirmInSightRequest& request) {
  return [request](const Context& context) -> Events {
    VIGIL_RETURN_IF_ERROR(KnownStaff(context, request.staff_id(), "staff_id"));
    // It is that adult who confirms; on the phone, somebody entitled enters it for them.
    if (request.staff_id() != context.caller.person && !May(context, "sight.confirm_for_others")) {
      return absl::PermissionDeniedError("an adult confirms for themselves that they see the child");
    }
    return One(domain::SightConfirmed{.person = request.staff_id()});
  };
}

Intake::MakeEvents EventsFor(const v1::FileWrittenReportRequest& request) {
  return [request](const Context& context) -> Events {
    const domain::RecordRow* form = FormFiledBy(context, "fileWrittenReport");
    if (form == nullptr) return absl::UnimplementedError("the pack has no such form");
    VIGIL_RETURN_IF_ERROR(CheckForm(context, *form, request.fields(), true));
    auto event = Record(context, *form, {{"fields", FieldsOf(request.fields())}});
    if (!event.ok()) return event.status();
    VIGIL_RETURN_IF_ERROR(Attach(context, request.attachments(), *event));
    return std::vector<domain::Event>{*std::move(event)};
  };
}

Intake::MakeEvents EventsFor(const v1::ReceiveWrittenReportRequest&) {
  return [](const Context& context) -> Events {
    const domain::RecordRow* form = FormFiledBy(context, "fileWrittenReport");
    if (form == nullptr) return absl::UnimplementedError("the pack has no such form");
    return One(domain::RecordAcknowledged{.kind = form->id});
  };
}

Intake::MakeEvents EventsFor(const v1::AcknowledgeRequest& request) {
  return [request](const Context& context) -> Events {
    if (!request.report_id().empty()) {
      const auto& reports = context.file.state.current->reports;
      if (std::none_of(reports.begin(), reports.end(), [&](const domain::ReportState& r) { return r.report_id == request.report_id(); })) {
        return rpc::InvalidField("report_id", "is not a report of this case");
      }
    }
    return One(domain::ReportRead{.report_id = request.report_id()});
  };
}

Intake::MakeEvents EventsFor(const v1::AssessRequest& request) {
  return [request](const Context& context) -> Events {
    std::vector<rpc::FieldError> errors;
    if (context.pack.Rank(request.level()) < 0) errors.push_back({"level", "unknown level"});
    if (request.kind() != "group" && request.kind() != "expert") errors.push_back({"kind", "is group or expert"});
    domain::Assessed assessed{.level = request.level(), .kind = request.kind()};
    for (int i = 0; i < request.members_size(); ++i) {
      const auto& id = request.members(i);
      const auto person = context.school.people.find(id);
      if (person == context.school.people.end() || person->second.kind != domain::PersonKind::kStaff) {
        errors.push_back({absl::StrCat("members[", i, "]"), "unknown staff member"});
      } else if (std::find(assessed.members.begin(), assessed.members.end(), id) != assessed.members.end()) {
        errors.push_back({absl::StrCat("members[", i, "]"), "is named twice"});
      }
      assessed.members.push_back(id);
    }
    if (request.kind() == "group" && request.members_size() == 0) errors.push_back({"members", "a group has members"});
    if (!errors.empty()) return rpc::InvalidFields(std::move(errors));
    assessed.face_to_face = request.face_to_face();
    auto rationale = context.Seal(request.rationale());
    if (!rationale.ok()) return rationale.status();
    assessed.rationale = *std::move(rationale);
    return One(std::move(assessed));
  };
}

Intake::MakeEvents EventsFor(const v1::PlanShiftsRequest& request) {
  return [request](const Context& context) -> Events {
    if (static_cast<std::size_t>(request.shifts_size()) > kMaxShifts) return rpc::InvalidField("shifts", "at most 100");
    std::vector<rpc::FieldError> errors;
    domain::ShiftsPlanned planned;
    absl::Time previous_end = absl::InfinitePast();
    const auto custody = context.pack.custody.find(domain::EffectiveLevel(context.pack, context.file.state).custody);
    for (int i = 0; i < request.shifts_size(); ++i) {
      const v1::PlannedShift& input = request.shifts(i);
      const auto at = [i](const char* field) { return absl::StrCat("shifts[", i, "].", field); };
      domain::PlannedShift shift{.from_time = contract::TimeFromProto(input.from_time()), .to_time = contract::TimeFromProto(input.to_time()), .place = input.place()};
      for (const std::string& id : input.staff_ids()) shift.staff_ids.push_back(id);
      if (shift.to_time <= shift.from_time) errors.push_back({at("to_time"), "is after from_time"});
      if (shift.to_time <= context.now) errors.push_back({at("to_time"), "has passed"});
      if (shift.from_time < previous_end) errors.push_back({at("from_time"), "shifts are in order of time and do not overlap"});
      previous_end = shift.to_time;
      if (custody != context.pack.custody.end()) {
        const bool night = domain::IsNight(shift.from_time, context.pack.night_from, context.pack.night_to);
        const absl::Duration longest = night ? custody->second.longest_night_shift : custody->second.longest_shift;
        // Ten hours bridge a change of day and night; nobody watches longer.
        if (shift.to_time - shift.from_time > longest + absl::Hours(4)) errors.push_back({at("to_time"), "the shift is too long"});
      }
      if (absl::Status fit = domain::CheckShift(context.pack, context.school, context.file.state, shift.staff_ids, shift.from_time); !fit.ok()) {
        errors.push_back({at("staff_ids"), std::string(fit.message())});
      }
      planned.shifts.push_back(std::move(shift));
    }
    if (!errors.empty()) return rpc::InvalidFields(std::move(errors));
    return One(std::move(planned));
  };
}

Intake::MakeEvents EventsFor(const v1::OfferShiftRequest& request) {
  return [request](const Context& context) -> Events {
    domain::ShiftOffered offered;
    for (int i = 0; i < request.to_staff_ids_size(); ++i) {
      VIGIL_RETURN_IF_ERROR(KnownStaff(context, request.to_staff_ids(i), absl::StrCat("to_staff_ids[", i, "]")));
      offered.to.push_back(request.to_staff_ids(i));
    }
    return One(std::move(offered));
  };
}

Intake::MakeEvents EventsFor(const v1::AcceptShiftRequest&) {
  return [](const Context& context) -> Events { return One(domain::ShiftAccepted{.person = context.caller.person}); };
}

Intake::MakeEvents EventsFor(const v1::CheckInRequest& request) {
  return [request](const Context& context) -> Events {
    // The code proves the place. "No" is believed without it.
    const bool matched = context.intake.PlaceCodeMatches(context.file.state.current->case_id, request.code(), context.now);
    if (request.in_sight() && !matched) return rpc::InvalidField("code", "is not the code that the place shows");
    return One(domain::CheckedIn{.person = context.caller.person, .in_sight = request.in_sight(), .code_matched = matched});
  };
}

Intake::MakeEvents EventsFor(const v1::RecordGuardianContactRequest& request) {
  return [request](const Context& context) -> Events {
    VIGIL_RETURN_IF_ERROR(OneOf(request.outcome(), "outcome", {"reached", "no_answer", "refused", "wrong_number"}));
    domain::GuardianContacted contacted{.guardian = request.guardian_id(), .outcome = request.outcome()};
    if (request.has_arrival_time()) contacted.arrival_time = contract::TimeFromProto(request.arrival_time());
    if (domain::IsSet(contacted.arrival_time) && contacted.arrival_time < context.now - absl::Hours(1)) return rpc::InvalidField("arrival_time", "has passed");
    return One(std::move(contacted));
  };
}

Intake::MakeEvents EventsFor(const v1::HandOverToGuardianRequest& request) {
  return [request](const Context& context) -> Events {
    const domain::RecordRow* form = FormFiledBy(context, "handOverToGuardian");
    if (form == nullptr) return absl::UnimplementedError("the pack has no such form");
    if (request.signatures().empty()) VIGIL_RETURN_IF_ERROR(CheckForm(context, *form, request.fields(), true));
    json document{{"fields", FieldsOf(request.fields())}, {"signatures", json::array()}};
    for (const std::string& signature : request.signatures()) document["signatures"].push_back(signature);
    auto sealed = context.Seal(document.dump());
    if (!sealed.ok()) return sealed.status();
    domain::HandedOverToGuardian handed{.guardian = request.guardian_id(), .identity_checked = request.identity_checked()};
    handed.record_id = context.Id('d');
    std::vector<domain::Event> events;
    events.push_back(domain::Event{handed});
    domain::RecordFiled record{.record_id = handed.record_id, .kind = form->id};
    record.fields = *std::move(sealed);
    events.push_back(domain::Event{std::move(record)});
    return events;
  };
}

Intake::MakeEvents EventsFor(const v1::HandOverToAuthorityRequest& request) {
  return [request](const Context& context) -> Events {
    VIGIL_RETURN_IF_ERROR(OneOf(request.authority(), "authority", {"police", "child_protection"}));
    auto sealed = context.Seal(json{{"officer", request.officer()}, {"fields", FieldsOf(request.fields())}}.dump());
    if (!sealed.ok()) return sealed.status();
    domain::HandedOverToAuthority handed{.authority = request.authority()};
    handed.document = *std::move(sealed);
    handed.record_id = context.Id('d');
    return One(std::move(handed));
  };
}

Intake::MakeEvents EventsFor(const v1::DecideNotSevereRequest& request) {
  return [request](const Context& context) -> Events {
    domain::NotSevereDecided decided;
    for (int i = 0; i < request.assessor_ids_size(); ++i) {
      VIGIL_RETURN_IF_ERROR(KnownStaff(context, request.assessor_ids(i), absl::StrCat("assessor_ids[", i, "]")));
      decided.assessors.push_back(request.assessor_ids(i));
    }
    if (decided.assessors.size() != 2 || decided.assessors[0] == decided.assessors[1]) return rpc::InvalidField("assessor_ids", "names two different assessors");
    auto rationale = context.Seal(request.rationale());
    if (!rationale.ok()) return rationale.status();
    decided.rationale = *std::move(rationale);
    return One(std::move(decided));
  };
}

Intake::MakeEvents EventsFor(const v1::RecordDepartureRequest& request) {
  return [request](const Context& context) -> Events {
    VIGIL_RETURN_IF_ERROR(OneOf(request.kind(), "kind", {"hospital", "left", "taken_away", "not_found"}));
    domain::DepartureRecorded departure{.kind = request.kind()};
    json with = json::array();
    for (const std::string& companion : request.with()) {
      const auto person = context.school.people.find(companion);
      const bool staff = person != context.school.people.end() && person->second.kind == domain::PersonKind::kStaff;
      if (staff && request.kind() == "hospital") {
        departure.escorts.push_back(companion);
      } else {
        with.push_back(companion);
      }
    }
    auto sealed = context.Seal(json{{"to", request.to()}, {"with", with}, {"reason", request.reason()}}.dump());
    if (!sealed.ok()) return sealed.status();
    departure.detail = *std::move(sealed);
    return One(std::move(departure));
  };
}

Intake::MakeEvents EventsFor(const v1::ReturnCustodyRequest& request) {
  return [request](const Context& context) -> Events {
    VIGIL_RETURN_IF_ERROR(KnownStaff(context, request.staff_id(), "staff_id"));
    return One(domain::CustodyReturned{.person = request.staff_id()});
  };
}

Intake::MakeEvents EventsFor(const v1::CorrectDiscoveryRequest& request) {
  return [request](const Context& context) -> Events {
    const absl::Time discovered = contract::TimeFromProto(request.discovered_time());
    if (discovered > context.now + context.pack.clock_tolerance) return rpc::InvalidField("discovered_time", "lies in the future");
    auto reason = context.Seal(request.reason());
    if (!reason.ok()) return reason.status();
    domain::DiscoveryCorrected corrected{.discovered_time = std::min(discovered, context.now)};
    corrected.reason = *std::move(reason);
    return One(std::move(corrected));
  };
}

Intake::MakeEvents EventsFor(const v1::HoldRequest& request) {
  return [request](const Context& context) -> Events {
    VIGIL_RETURN_IF_ERROR(OneOf(request.kind(), "kind", {"guardians", "visit"}));
    auto reason = SealIfAny(context, request.reason());
    if (!reason.ok()) return reason.status();
    domain::HoldPlaced hold{.kind = request.kind()};
    hold.reason = *std::move(reason);
    return One(std::move(hold));
  };
}

Intake::MakeEvents EventsFor(const v1::LiftHoldRequest& request) {
  return [request](const Context& context) -> Events {
    VIGIL_RETURN_IF_ERROR(OneOf(request.kind(), "kind", {"guardians", "visit"}));
    auto reason = SealIfAny(context, request.reason());
    if (!reason.ok()) return reason.status();
    domain::HoldLifted lifted{.kind = request.kind()};
    lifted.reason = *std::move(reason);
    return One(std::move(lifted));
  };
}

Intake::MakeEvents EventsFor(const v1::RecuseRequest& request) {
  return [request](const Context& context) -> Events {
    if (!context.school.people.contains(request.staff_id())) return rpc::InvalidField("staff_id", "unknown person");
    auto reason = SealIfAny(context, request.reason());
    if (!reason.ok()) return reason.status();
    domain::Recused recused{.person = request.staff_id()};
    recused.reason = *std::move(reason);
    return One(std::move(recused));
  };
}

Intake::MakeEvents EventsFor(const v1::CloseRequest& request) {
  return [request](const Context& context) -> Events {
    auto reason = SealIfAny(context, request.reason());
    if (!reason.ok()) return reason.status();
    domain::CaseClosed closed;
    closed.reason = *std::move(reason);
    return One(std::move(closed));
  };
}

namespace {

// A record of the case by its form: what the engine reads stands in the log as it is, the rest is sealed.
Events RecordByForm(const Context& context, const domain::RecordRow& row, const google::protobuf::Map<std::string, std::string>& fields,
                    const google::protobuf::RepeatedPtrField<std::string>& attachments, const std::string& supersedes) {
  if (!row.written_by.empty() && std::find(row.written_by.begin(), row.written_by.end(), context.caller.role) == row.written_by.end()) {
    return absl::PermissionDeniedError("this role does not write this record");
  }
  VIGIL_RETURN_IF_ERROR(CheckForm(context, row, fields, false));
  const auto scored = domain::Scored(context.pack, row, FieldsIn(fields));
  if (!scored.ok()) return rpc::InvalidField(absl::StrCat("fields.", row.scored->answers), std::string_view(scored.status().message().data(), scored.status().message().size()));
  domain::SplitFields split = domain::Split(row, *scored);
  auto event = Record(context, row, {{"fields", split.sealed}});
  if (!event.ok()) return event.status();
  auto& filed = std::get<domain::RecordFiled>(event->body);
  for (auto& [id, value] : split.plain) filed.plain.emplace(id, std::move(value));
  filed.supersedes = supersedes;
  VIGIL_RETURN_IF_ERROR(Attach(context, attachments, *event));
  return std::vector<domain::Event>{*std::move(event)};
}

template <typename Request>
Intake::MakeEvents RecordOf(const Request& request, const char* method) {
  return [request, method](const Context& context) -> Events {
    const domain::RecordRow* form = FormFiledBy(context, method);
    if (form == nullptr) return absl::UnimplementedError("the pack has no such form");
    return RecordByForm(context, *form, request.fields(), request.attachments(), "");
  };
}

}  // namespace

Intake::MakeEvents EventsFor(const v1::FileRecordRequest& request) {
  return [request](const Context& context) -> Events {
    const auto row = context.pack.records.find(request.kind());
    if (row == context.pack.records.end()) return rpc::InvalidField("kind", "unknown record kind");
    if (!row->second.filed_by.empty()) return rpc::InvalidField("kind", absl::StrCat("is filed by :", row->second.filed_by));
    if (row->second.attaches != domain::RecordRow::Attaches::kCase) return rpc::InvalidField("kind", "is a record of the school, not of a case");
    return RecordByForm(context, row->second, request.fields(), request.attachments(), request.supersedes());
  };
}

Intake::MakeEvents EventsFor(const v1::SignAgreementRequest& request) { return RecordOf(request, "signAgreement"); }
Intake::MakeEvents EventsFor(const v1::ApplyForLeaveRequest& request) { return RecordOf(request, "applyForLeave"); }
Intake::MakeEvents EventsFor(const v1::RequestReturnRequest& request) { return RecordOf(request, "requestReturn"); }

// The decision and, filed with it, the form that it rests on; what that form needs is the decision's to check.
Intake::MakeEvents EventsFor(const v1::ApproveReturnRequest& request) {
  return [request](const Context& context) -> Events {
    auto record = RecordOf(request, "approveReturn")(context);
    if (!record.ok()) return record.status();
    std::vector<domain::Event> events;
    events.push_back(domain::Event{domain::ReturnApproved{.record_id = std::get<domain::RecordFiled>(record->front().body).record_id}});
    events.push_back(std::move(record->front()));
    return events;
  };
}

Intake::MakeEvents EventsFor(const v1::ConveneRequest& request) { return RecordOf(request, "convene"); }

Intake::MakeEvents EventsFor(const v1::AcknowledgeRecordRequest& request) {
  return [request](const Context& context) -> Events {
    const domain::RecordState* record = domain::FindRecord(context.file.state, request.record());
    if (record == nullptr) return absl::NotFoundError("no such record");
    const auto row = context.pack.records.find(record->kind);
    if (row == context.pack.records.end() || row->second.acknowledged_by != context.caller.role) {
      return absl::PermissionDeniedError("this role does not acknowledge this record");
    }
    return One(domain::RecordAcknowledged{.kind = record->kind, .record_id = record->record_id});
  };
}

absl::Status FormRefusal(const std::vector<domain::FormError>& errors) {
  if (errors.empty()) return absl::OkStatus();
  std::vector<rpc::FieldError> fields;
  for (const domain::FormError& error : errors) fields.push_back({error.field, error.reason});
  return rpc::InvalidFields(std::move(fields));
}

#undef VIGIL_RETURN_IF_ERROR

}  // namespace vigil::intake
