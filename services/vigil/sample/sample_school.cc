#include "vigil/sample/sample_school.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "platform/crypto/token.h"
#include "vigil/embedded.h"

namespace vigil {
namespace {

using nlohmann::json;

constexpr int kGrades = 6;
constexpr std::size_t kMaxPeopleABody = 2'000;
constexpr std::size_t kMaxBodyBytes = 900 * 1024;

// What such a school is like: who works there, in which roles of the pack.
const json& Model() {
  static const json model = json::parse(embedded::kSampleSchool);
  return model;
}

std::string Text(const json& object, const char* name) { return object.at(name).get<std::string>(); }

class Maker {
 public:
  Maker(std::uint32_t seed, int number) : seed_(seed), number_(number), random_((std::uint64_t{seed} << 32) | static_cast<std::uint32_t>(number)) {
    school_.id = absl::StrFormat("s-%d-%04d", seed, number);
    school_.name = absl::StrFormat("示例第%d小学", number);
    school_.duty_phone = NextPhone();
  }

  SampleSchool Make(int students) {
    // Classes as large as schools have them, and no more of them than there are children.
    const int seats = kGrades * Model().at("class_size").get<int>();
    const int classes = std::max(1, (students + seats - 1) / seats);
    AddStaff(classes);
    for (int i = 1; i <= students; ++i) AddStudent(i, classes);
    school_.leader_phone = school_.Find(absl::StrCat(school_.id, "-", Text(Model(), "leader")))->phone;
    return std::move(school_);
  }

 private:
  // No telephone network has numbers of this form.
  std::string NextPhone() { return absl::StrFormat("+8610%03d%04d%04d", seed_ % 1000, number_, ++phones_); }

  std::string Pick(const char* list) {
    const json& texts = Model().at(list);
    return texts[random_() % texts.size()].get<std::string>();
  }
  std::string Name() {
    const std::string family = Pick("family_names");
    return family + Pick("given_names");
  }
  std::string Sex() { return random_() % 2 == 0 ? "f" : "m"; }

  using Places = std::vector<std::pair<std::string, std::string>>;

  void AddStaffMember(const json& row, const Places& places, std::string grade = "", std::string class_name = "") {
    const auto filled = [&](const char* name) { return absl::StrReplaceAll(Text(row, name), places); };
    SamplePerson person{.id = absl::StrCat(school_.id, "-", filled("id")), .kind = "staff", .role = Text(row, "role")};
    person.name = Name();
    person.sex = Sex();
    person.phone = NextPhone();
    person.grade = std::move(grade);
    person.class_name = std::move(class_name);
    person.label_zh = filled("zh");
    person.label_en = filled("en");
    school_.staff.push_back(std::move(person));
  }

  void AddStaff(int classes) {
    for (const json& row : Model().at("staff")) AddStaffMember(row, {});
    for (int i = 1; i <= kGrades; ++i) {
      const std::string grade = absl::StrCat(i);
      Places places = {{"{grade}", grade}, {"{grade_name}", Model().at("grade_names")[static_cast<std::size_t>(i) - 1].get<std::string>()}};
      for (const json& row : Model().at("of_grade")) AddStaffMember(row, places, grade);
      places.insert(places.end(), {{"{class}", ""}, {"{number}", ""}});
      for (int number = 1; number <= classes; ++number) {
        const std::string class_name = absl::StrCat(grade, "-", number);
        places[2].second = class_name;
        places[3].second = absl::StrCat(number);
        for (const json& row : Model().at("of_class")) AddStaffMember(row, places, grade, class_name);
      }
    }
  }

  void AddStudent(int number, int classes) {
    SamplePerson student{.id = absl::StrFormat("%s-p%04d", school_.id, number), .kind = "student"};
    student.name = Name();
    student.sex = Sex();
    const int place = (number - 1) % (kGrades * classes);
    const int grade = place % kGrades + 1;
    student.grade = absl::StrCat(grade);
    student.class_name = absl::StrCat(grade, "-", place / kGrades + 1);
    student.label_zh = "学生";
    student.label_en = "student";
    if (number <= kStudentsWithGuardians) AddGuardians(student);
    school_.students.push_back(std::move(student));
  }

  void AddGuardians(const SamplePerson& student) {
    int order = 0;
    for (const json& row : Model().at("guardians")) {
      ++order;
      SamplePerson guardian{.id = absl::StrCat(student.id, "-g", order), .kind = Text(row, "role"), .role = Text(row, "role")};
      guardian.name = Name();
      guardian.sex = Text(row, "sex");
      guardian.phone = NextPhone();
      guardian.student_id = student.id;
      guardian.call_order = order;
      guardian.label_zh = Text(row, "zh");
      guardian.label_en = Text(row, "en");
      school_.guardians.push_back(std::move(guardian));
    }
  }

  std::uint32_t seed_;
  int number_;
  std::mt19937_64 random_;  // its sequence is fixed by the standard, so a seed means the same everywhere
  int phones_ = 0;
  SampleSchool school_;
};

json PersonJson(const SamplePerson& person) {
  json out{{"id", person.id}, {"kind", person.kind}, {"name", person.name}, {"sex", person.sex}};
  if (person.kind == "staff") out["roles"] = {person.role};
  if (!person.phone.empty()) out["phone"] = person.phone;
  if (!person.grade.empty()) out["grade"] = person.grade;
  if (!person.class_name.empty()) out["class"] = person.class_name;
  if (!person.student_id.empty()) out["student_id"] = person.student_id;
  if (person.call_order > 0) out["call_order"] = person.call_order;
  return out;
}

}  // namespace

const SamplePerson* SampleSchool::Find(std::string_view wanted) const {
  for (const auto* people : {&staff, &guardians, &students}) {
    const auto it = std::find_if(people->begin(), people->end(), [&](const SamplePerson& person) { return person.id == wanted; });
    if (it != people->end()) return &*it;
  }
  return nullptr;
}

SampleSchool MakeSampleSchool(std::uint32_t seed, int number, int students) { return Maker(seed, number).Make(students); }

std::vector<std::string> DirectoryBodies(const SampleSchool& school) {
  std::vector<std::string> bodies;
  json people = json::array();
  std::size_t bytes = 0;
  const auto flush = [&] {
    if (people.empty()) return;
    json body{{"people", std::move(people)}};
    if (bodies.empty()) {
      body["school_name"] = school.name;
      body["duty_phone"] = school.duty_phone;
      body["language"] = "zh-CN";
    }
    bodies.push_back(body.dump());
    people = json::array();
    bytes = 0;
  };
  // Staff first: whoever comes later may be rung for from the first moment.
  for (const auto* list : {&school.staff, &school.students, &school.guardians}) {
    for (const SamplePerson& person : *list) {
      json one = PersonJson(person);
      bytes += one.dump().size() + 1;
      people.push_back(std::move(one));
      if (people.size() >= kMaxPeopleABody || bytes >= kMaxBodyBytes) flush();
    }
  }
  flush();
  return bodies;
}

std::vector<ScheduleBody> ScheduleBodies(const SampleSchool& school) {
  const auto with_role = [&](std::string_view role) {
    std::vector<std::string> ids;
    for (const SamplePerson& person : school.staff) {
      if (person.role == role) ids.push_back(person.id);
    }
    return ids;
  };
  std::vector<ScheduleBody> bodies;
  for (const json& schedule : Model().at("schedules")) {
    const std::vector<std::string> day = with_role(Text(schedule, "role"));
    std::vector<std::string> night = day;
    std::reverse(night.begin(), night.end());
    const std::vector<int> weekdays = {1, 2, 3, 4, 5, 6, 7};
    const json body{{"shifts",
                     {{{"staff_ids", day}, {"weekdays", weekdays}, {"from", "07:00"}, {"to", "19:00"}},
                      {{"staff_ids", night}, {"weekdays", weekdays}, {"from", "19:00"}, {"to", "07:00"}}}}};
    bodies.push_back({Text(schedule, "id"), body.dump()});
  }
  return bodies;
}

std::string ReportingToken(const SigningKey& key, const SampleSchool& school, absl::Time expires) {
  const std::string role = Text(Model(), "reporting_role");
  return SampleToken(key, school, role, role, expires);
}

std::string SampleToken(const SigningKey& key, const SampleSchool& school, std::string_view person, std::string_view role, absl::Time expires) {
  TokenClaims claims;
  constexpr std::size_t kIdBytes = 16;
  const auto digest = Sha256(absl::StrCat("sample token ", absl::FormatTime(expires), " ", school.id, " ", absl::string_view(person.data(), person.size())));
  claims.id = HexEncode(std::string_view(reinterpret_cast<const char*>(digest.data()), kIdBytes));
  claims.school = school.id;
  claims.person = std::string(person);
  claims.role = std::string(role);
  claims.expires_time = expires;
  return MintToken(key, claims);
}

}  // namespace vigil
