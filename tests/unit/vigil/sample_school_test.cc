#include "vigil/sample/sample_school.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "platform/crypto/random.h"
#include "platform/crypto/token.h"

namespace vigil {
namespace {

using nlohmann::json;

TEST(SampleSchoolTest, TheSameSeedGivesTheSameSchool) {
  EXPECT_EQ(DirectoryBodies(MakeSampleSchool(7, 3, 100)), DirectoryBodies(MakeSampleSchool(7, 3, 100)));
  EXPECT_NE(DirectoryBodies(MakeSampleSchool(7, 3, 100)), DirectoryBodies(MakeSampleSchool(8, 3, 100)));
}

TEST(SampleSchoolTest, IdsAndTelephonesAreUniqueAcrossSchoolsAndSeeds) {
  std::set<std::string> ids;
  std::set<std::string> phones;
  for (const std::uint32_t seed : {1u, 2u}) {
    for (int number = 1; number <= 3; ++number) {
      const SampleSchool school = MakeSampleSchool(seed, number, 120);
      EXPECT_TRUE(ids.insert(school.id).second);
      for (const auto* people : {&school.staff, &school.guardians, &school.students}) {
        for (const SamplePerson& person : *people) {
          EXPECT_TRUE(ids.insert(person.id).second) << person.id;
          if (!person.phone.empty()) {
            EXPECT_TRUE(phones.insert(person.phone).second) << person.phone;
          }
        }
      }
    }
  }
}

TEST(SampleSchoolTest, HasAsManyStudentsAsWantedAndTwoGuardiansForTheFirstFifty) {
  const SampleSchool school = MakeSampleSchool(1, 1, 130);
  EXPECT_EQ(school.students.size(), 130u);
  EXPECT_EQ(school.guardians.size(), 100u);
  EXPECT_EQ(MakeSampleSchool(1, 1, 3).guardians.size(), 6u);
}

TEST(SampleSchoolTest, EveryStudentsClassHasItsTeacherAndEveryStaffMemberATelephone) {
  const SampleSchool school = MakeSampleSchool(1, 1, 1000);
  std::set<std::string> classes;
  for (const SamplePerson& person : school.staff) {
    EXPECT_FALSE(person.phone.empty()) << person.id;
    EXPECT_FALSE(person.label_zh.empty() || person.label_en.empty()) << person.id;
    EXPECT_EQ(person.label_zh.find('{'), std::string::npos) << person.label_zh;
    if (person.role == "class_teacher") classes.insert(person.class_name);
  }
  for (const SamplePerson& student : school.students) EXPECT_TRUE(classes.contains(student.class_name)) << student.class_name;
}

TEST(SampleSchoolTest, TheLeadersTelephoneIsTheOneOnCall) {
  const SampleSchool school = MakeSampleSchool(1, 1, 10);
  const std::vector<ScheduleBody> schedules = ScheduleBodies(school);
  ASSERT_FALSE(schedules.empty());
  EXPECT_EQ(schedules.front().id, "leader");
  for (const json& shift : json::parse(schedules.front().body)["shifts"]) {
    const SamplePerson* first = school.Find(shift["staff_ids"][0].get<std::string>());
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first->phone, school.leader_phone);
  }
}

TEST(SampleSchoolTest, DirectoryBodiesStayWithinTheGatewaysLimitsAndHoldEverybodyOnce) {
  const SampleSchool school = MakeSampleSchool(1, 1, 9000);
  std::set<std::string> ids;
  for (const std::string& body : DirectoryBodies(school)) {
    EXPECT_LE(body.size(), std::size_t{1} << 20);
    const json parsed = json::parse(body);
    EXPECT_LE(parsed["people"].size(), 5000u);
    for (const json& person : parsed["people"]) EXPECT_TRUE(ids.insert(person["id"].get<std::string>()).second);
  }
  EXPECT_EQ(ids.size(), school.staff.size() + school.students.size() + school.guardians.size());
}

TEST(SampleSchoolTest, TokensSayWhoAndInWhichRole) {
  SeededRandom random(1);
  const SigningKey key = SigningKey::Generate(random);
  const SampleSchool school = MakeSampleSchool(1, 1, 10);
  const absl::Time expires = absl::FromUnixSeconds(2'000'000'000);
  const SamplePerson& person = school.staff.front();
  const absl::StatusOr<TokenClaims> claims =
      VerifyToken(key.verify_key(), SampleToken(key, school, person.id, person.role, expires), expires - absl::Seconds(1));
  ASSERT_TRUE(claims.ok());
  EXPECT_EQ(claims->school, school.id);
  EXPECT_EQ(claims->person, person.id);
  EXPECT_EQ(claims->role, person.role);
  const absl::StatusOr<TokenClaims> reporting = VerifyToken(key.verify_key(), ReportingToken(key, school, expires), expires - absl::Seconds(1));
  ASSERT_TRUE(reporting.ok());
  EXPECT_EQ(reporting->role, "integration");
  EXPECT_NE(reporting->id, claims->id);
}

}  // namespace
}  // namespace vigil
