#include "vigil/environment.h"

#include <gtest/gtest.h>

namespace vigil {
namespace {

constexpr char kFile[] =
    "# comment\n"
    "VIGIL_URL=https://127.0.0.1:8080\n"
    "VIGIL_CA='/home/a b/it'\\''s/ca.crt'\n"
    "VIGIL_PID_NATS=''\n"
    "case \":$PATH:\" in *:/x:*) ;; *) PATH=/x:$PATH ;; esac\n"
    "export PATH VIGIL_URL\n";

TEST(EnvironmentTest, ReadsWhatUpWrote) {
  const Environment environment({}, kFile);
  EXPECT_EQ(environment.Get("VIGIL_URL"), "https://127.0.0.1:8080");
  EXPECT_EQ(environment.Get("VIGIL_CA"), "/home/a b/it's/ca.crt");
  EXPECT_EQ(environment.Get("VIGIL_PID_NATS"), "");
}

TEST(EnvironmentTest, TheShellsOwnVariablesGoFirst) {
  const Environment environment({{"VIGIL_URL", "https://elsewhere"}, {"VIGIL_CA", ""}}, kFile);
  EXPECT_EQ(environment.Get("VIGIL_URL"), "https://elsewhere");
  EXPECT_EQ(environment.Get("VIGIL_CA"), "/home/a b/it's/ca.crt");
}

}  // namespace
}  // namespace vigil
