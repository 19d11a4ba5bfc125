// Sample schools: people, schedules and tokens of schools that do not exist, the same for the same seed. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "platform/crypto/sign.h"

namespace vigil {

struct SamplePerson {
  std::string id;
  std::string kind;  // staff, guardian or student
  std::string role;  // the pack's role id; empty for students
  std::string name;
  std::string phone;
  std::string grade;
  std::string class_name;
  std::string student_id;  // of guardians
  int call_order = 0;      // of guardians
  std::string sex;
  // How a story calls them: 校长, 四（2）班班主任, 母亲.
  std::string label_zh;
  std::string label_en;
};

struct SampleSchool {
  std::string id;
  std::string name;
  std::string duty_phone;
  std::string leader_phone;
  std::vector<SamplePerson> staff;
  std::vector<SamplePerson> guardians;  // two for each of the first kStudentsWithGuardians students
  std::vector<SamplePerson> students;

  const SamplePerson* Find(std::string_view id) const;
};

inline constexpr int kStudentsWithGuardians = 50;

// School `number` (from 1) of those of `seed`. Ids and telephones are different for every (seed, number).
SampleSchool MakeSampleSchool(std::uint32_t seed, int number, int students);

// Bodies of PUT …/directory, each within the gateway's limits, to be sent in this order.
std::vector<std::string> DirectoryBodies(const SampleSchool& school);

struct ScheduleBody {
  std::string id;    // the pack's schedule id
  std::string body;  // of PUT …/schedules/{id}
};
std::vector<ScheduleBody> ScheduleBodies(const SampleSchool& school);

// A token of the school for a person in a role.
std::string SampleToken(const SigningKey& key, const SampleSchool& school, std::string_view person, std::string_view role, absl::Time expires);
// One that may report for the school, and nothing else.
std::string ReportingToken(const SigningKey& key, const SampleSchool& school, absl::Time expires);

}  // namespace vigil
