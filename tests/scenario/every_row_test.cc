#include "domain/duty.h"
#include "domain/form.h"
#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

// What the pack says in rows holds for every row: a requirement that is a row is shown by these.
using Fields = std::vector<std::pair<std::string, std::string>>;
using Type = domain::FieldRow::Type;

// Staff beyond the scene's own, so that every role of the pack has two.
void Staff(Scene& scene) {
  std::vector<api::PersonInput> people;
  for (const auto& [id, role] : scene.world.pack().roles) {
    if (!role.staff) continue;
    for (const char* ordinal : {"_a", "_b"}) {
      api::PersonInput person = Scene::Person(id + ordinal, "staff", id);
      person.set_grade("3");
      person.set_class_("3-2");
      people.push_back(std::move(person));
    }
  }
  ASSERT_TRUE(scene.PutPeople(people).ok());
}

// Fills in a form as its types ask; records that it names are taken from `records`.
Fields Filled(const domain::Pack& pack, const domain::RecordRow& row, const std::map<std::string, std::string>& records) {
  Fields fields;
  for (const domain::FieldRow& field : row.fields) {
    const bool people_count = (row.is_signed && row.is_signed->field == field.id) || (row.roster && (row.roster->adults == field.id || row.roster->helper == field.id));
    if (!field.required && !people_count) continue;
    std::string value;
    switch (field.type) {
      case Type::kText:
      case Type::kList:
        value = "words";
        // Answers are those of the first instrument of the form.
        if (row.scored && row.scored->answers == field.id) value = std::string(static_cast<std::size_t>(pack.instruments.at(row.FindField(row.scored->instrument)->choices.front()).items), '0');
        break;
      case Type::kBoolean:
        value = "true";
        break;
      case Type::kTime:
        value = "2026-03-12";
        break;
      case Type::kNumber:
        value = std::to_string(std::max(field.least, 1));
        break;
      case Type::kPerson:
        value = row.roster && row.roster->helper == field.id ? "twin" : "leader";
        break;
      case Type::kChoice:
        value = field.choices.front();
        break;
      case Type::kRecord:
        value = records.contains(field.of) ? records.at(field.of) : "";
        break;
      case Type::kPeople:
        value = "leader, deputy";
        if (row.is_signed && row.is_signed->field == field.id) value = row.is_signed->roles.front() + "_a, " + row.is_signed->roles.front() + "_b";
        if (row.roster && row.roster->adults == field.id) value = "class_teacher, teacher";
        break;
    }
    fields.emplace_back(field.id, value);
  }
  for (const domain::FieldRow& field : row.fields) {
    if (field.required_if.empty()) continue;
    const auto asked = std::find_if(fields.begin(), fields.end(), [&](const auto& given) { return given.first == field.required_if; });
    if (asked != fields.end() && (asked->second == "true") == field.required_if_value) fields.emplace_back(field.id, field.type == Type::kPerson ? "leader" : "words");
  }
  return fields;
}

class EveryRecordTest : public ::testing::Test {
 protected:
  // In the holidays: no duty is open that would ask for more than the form.
  EveryRecordTest() : scene_(At("2026-07-20 10:00")) {}
  void SetUp() override {
    Staff(scene_);
    case_ = scene_.Report("teacher", {.signals = {"W2d"}, .in_sight = "teacher"});
    ASSERT_TRUE(scene_.Assess("assessor", case_, "high").ok());
  }

  // Files it, after what it needs; its id.
  std::string File(const std::string& kind) {
    if (const auto known = filed_.find(kind); known != filed_.end()) return known->second;
    const domain::RecordRow& row = scene_.world.pack().records.at(kind);
    for (const std::string& needed : row.needs) File(needed);
    for (const domain::FieldRow& field : row.fields) {
      if (!field.of.empty() && field.required) File(field.of);
    }
    if (row.registers == domain::RecordRow::Registers::kExit) File(EntryKind());
    const std::string writer = row.written_by.front() + "_a";
    const Fields fields = Filled(scene_.world.pack(), row, filed_);
    std::string id;
    if (row.attaches == domain::RecordRow::Attaches::kCase) {
      const auto filed = FileOnCase(writer, row, fields);
      EXPECT_TRUE(filed.ok()) << kind << ": " << filed.status();
      if (filed.ok()) id = filed->records(filed->records_size() - 1).record_id();
    } else {
      const auto filed = FileOnSchool(writer, row, fields);
      EXPECT_TRUE(filed.ok()) << kind << ": " << filed.status();
      if (filed.ok()) id = filed->record_id();
    }
    return filed_[kind] = id;
  }
  absl::StatusOr<api::Case> FileOnCase(const std::string& writer, const domain::RecordRow& row, const Fields& fields) {
    api::FileRecordRequest request;
    request.set_case_(case_);
    request.set_kind(row.id);
    for (const auto& [id, value] : fields) (*request.mutable_fields())[id] = value;
    return scene_.Try(As(writer), request);
  }
  absl::StatusOr<api::Record> FileOnSchool(const std::string& writer, const domain::RecordRow& row, const Fields& fields) {
    using Attaches = domain::RecordRow::Attaches;
    return scene_.FileOfSchool(writer, row.id, fields, row.attaches == Attaches::kStudent ? "child" : "", row.attaches == Attaches::kClass ? "3-2" : "");
  }
  std::string EntryKind() const { return KindThat([](const domain::RecordRow& row) { return row.registers == domain::RecordRow::Registers::kEntry; }); }
  std::string KindThat(const std::function<bool(const domain::RecordRow&)>& is) const {
    for (const auto& [id, row] : scene_.world.pack().records) {
      if (is(row)) return id;
    }
    return "";
  }
  static intake::Caller As(const std::string& who) { return Scene::As(who); }

  Scene scene_;
  std::string case_;
  std::map<std::string, std::string> filed_;
};

TEST_F(EveryRecordTest, IsRefusedEmptyFiledByItsFormAndReadByItsReadersOnly) {
  int kinds = 0;
  for (const auto& [kind, row] : scene_.world.pack().records) {
    if (!row.filed_by.empty()) continue;
    const std::string writer = row.written_by.front() + "_a";
    const bool of_case = row.attaches == domain::RecordRow::Attaches::kCase;
    const auto status = [&](const std::string& who, const Fields& fields) { return of_case ? FileOnCase(who, row, fields).status() : FileOnSchool(who, row, fields).status(); };
    EXPECT_EQ(status(writer, {}).code(), absl::StatusCode::kInvalidArgument) << kind << ": an empty form";
    EXPECT_EQ(status(writer, {{"no_such_field", "x"}}).code(), absl::StatusCode::kInvalidArgument) << kind;
    for (const auto& [role, of_role] : scene_.world.pack().roles) {
      const bool files = std::find(of_role.may.begin(), of_role.may.end(), "record.file") != of_role.may.end();
      if (!of_role.staff || !files || std::find(row.written_by.begin(), row.written_by.end(), role) != row.written_by.end()) continue;
      EXPECT_EQ(status(role + "_a", Filled(scene_.world.pack(), row, filed_)).code(), absl::StatusCode::kPermissionDenied) << kind << " by " << role;
      break;
    }
    const std::string id = File(kind);
    if (id.empty()) continue;
    ++kinds;
    const auto read = of_case ? scene_.Records(writer, case_, kind) : scene_.RecordsOfSchool(writer, kind);
    ASSERT_TRUE(read.ok()) << kind << ": " << read.status();
    ASSERT_FALSE(read->records().empty()) << kind << ": its author reads it";
    for (const auto& [field, value] : Filled(scene_.world.pack(), row, filed_)) EXPECT_EQ(read->records(0).fields().at(field), value) << kind << "." << field;
  }
  EXPECT_GT(kinds, 95);
}

class EveryDutyTest : public ::testing::Test {
 protected:
  EveryDutyTest() : scene_(At("2026-08-31 09:00")) {}
  Scene scene_;
};

// Nobody does anything for a year: everything that the calendar brings is opened, reminded of and told.
TEST_F(EveryDutyTest, OfTheCalendarIsOpenedAndToldWhenItIsLate) {
  std::map<std::string, int> opened;
  std::map<std::string, int> told;
  const domain::FileState* own = nullptr;
  for (const auto& [id, file] : scene_.timer->machine().files()) {
    if (file.state.duties) own = &file.state;
  }
  ASSERT_NE(own, nullptr);
  for (absl::Time day = At("2026-09-01 09:00"); day < At("2027-08-30 09:00"); day += absl::Hours(7 * 24)) {
    scene_.WaitUntil(day);
    for (const domain::DutyState& duty : own->duties->duties) {
      opened[duty.duty] = std::max(opened[duty.duty], 1);
      told[duty.duty] = std::max(told[duty.duty], duty.steps);
    }
  }
  for (const auto& [id, row] : scene_.world.pack().duties) {
    if (row.every == domain::DutyRow::Every::kEvent) continue;
    EXPECT_EQ(opened[id], 1) << id << " was never owed";
    EXPECT_EQ(told[id], static_cast<int>(row.late.size())) << id << ": not every step was told";
  }
}

class EveryClockTest : public ::testing::Test {};

// Each clock of the pack, started on a file of its own: it expires when it is due and the ladder of its row is raised in that commit.
TEST_F(EveryClockTest, ThatExpiresRaisesItsLadder) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W2d"}, .in_sight = "teacher"});
  ASSERT_TRUE(scene.Assess("assessor", c, "high").ok());
  const domain::Pack& pack = scene.world.pack();
  FileEntry* entry = nullptr;
  for (const auto& [id, file] : scene.timer->machine().files()) {
    if (file.state.current && file.state.current->case_id == c) entry = scene.timer->machine().FindFile(id);
  }
  ASSERT_NE(entry, nullptr);
  const domain::SchoolState& school = *scene.timer->machine().FindSchool("school");
  int expired = 0;
  for (const auto& [kind, row] : pack.clocks) {
    domain::FileState file = entry->state;
    file.current->clocks.clear();
    file.current->alerts.clear();
    if (!file.current->custody) file.current->custody.emplace();
    file.current->custody->supervised = true;
    file.current->triggers.push_back({.discovered_time = scene.now(), .recorded_time = scene.now()});
    const std::string id = domain::StartClock(pack, *file.current, {.kind = kind, .now = scene.now(), .trigger = 1, .report_id = scene.last_report(), .clock_speed = 1});
    ASSERT_FALSE(id.empty()) << kind;
    const domain::ClockState* clock = domain::FindClock(file, id);
    if (clock->due_time == absl::InfinitePast()) continue;  // never due: it ends by being met
    domain::Commit commit{.id = "m", .school = "school", .file = file.file, .recorded_time = clock->due_time, .actor = domain::Actor{.person = "timer"}};
    commit.events.push_back(domain::Event{domain::ClockExpired{.clock_id = id, .due_time = clock->due_time}});
    std::vector<std::string> raised;
    for (const domain::Event& event : domain::AlertsToRaise(file, commit, {pack, school, {}}, [](std::string_view purpose) { return std::string(purpose); })) {
      raised.push_back(std::get<domain::AlertRaised>(event.body).ladder);
    }
    ++expired;
    if (!row.expiry_ladder.empty()) {
      EXPECT_THAT(raised, Contains(row.expiry_ladder)) << kind;
    }
  }
  EXPECT_GT(expired, 50);
}

}  // namespace
}  // namespace vigil::scenario
