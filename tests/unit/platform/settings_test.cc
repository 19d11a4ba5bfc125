#include "platform/config/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "platform/config/service_options.h"

namespace vigil::config {
namespace {

using testing::HasSubstr;

class SettingsTest : public testing::Test {
 protected:
  SettingsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vigil-settings-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    settings_.Add("listen", &listen_, TextRule{.help = "where to listen", .kind = Text::kAddress, .required = true});
    settings_.Add("workers", &workers_, NumberRule{"how many", "count", 1, 64});
    settings_.Add("ratio", &ratio_, NumberRule{"how much", "ratio", 0, 1});
    settings_.Add("shift_length", &shift_length_, DurationRule{"how long", absl::Minutes(1), absl::Hours(24)});
    settings_.Add("not_durable", &not_durable_, "accept the risk");
  }
  ~SettingsTest() override { std::filesystem::remove_all(folder_); }

  absl::Status Parse(const std::vector<std::string>& arguments) {
    printed_.clear();
    const auto outcome = settings_.Parse(arguments, &printed_);
    if (outcome.ok()) {
      EXPECT_EQ(*outcome == Settings::Outcome::kPrinted, !printed_.empty());
    }
    return outcome.status();
  }

  std::string File(const std::string& text) {
    const std::string path = folder_ + "/config.toml";
    std::ofstream(path) << text;
    return path;
  }

  // The message of an error that must be.
  std::string Wrong(const std::vector<std::string>& arguments) {
    const absl::Status status = Parse(arguments);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }

  std::string folder_;
  Settings settings_{"vigil-test", "a test"};
  std::string listen_;
  std::int64_t workers_ = 2;
  double ratio_ = 0.5;
  absl::Duration shift_length_ = absl::Hours(4);
  bool not_durable_ = false;
  std::string printed_;
};

TEST_F(SettingsTest, AreReadFromTheCommandLineWithEitherSpelling) {
  ASSERT_TRUE(Parse({"--listen", "127.0.0.1:80", "--workers=8", "--shift-length", "90m", "--not-durable"}).ok());
  EXPECT_EQ(listen_, "127.0.0.1:80");
  EXPECT_EQ(workers_, 8);
  EXPECT_EQ(shift_length_, absl::Minutes(90));
  EXPECT_TRUE(not_durable_);
  ASSERT_TRUE(Parse({"--listen", "127.0.0.1:80", "--shift_length", "2h"}).ok());
  EXPECT_EQ(shift_length_, absl::Hours(2));
}

TEST_F(SettingsTest, AreReadFromAFileAndTheCommandLineWins) {
  const std::string file = File("# a comment\nlisten = \"127.0.0.1:80\"\nworkers = 5\nratio = 0.25\nshift_length = \"30m\"\nnot_durable = true\n");
  ASSERT_TRUE(Parse({"--config", file, "--workers", "9"}).ok());
  EXPECT_EQ(listen_, "127.0.0.1:80");
  EXPECT_EQ(workers_, 9);
  EXPECT_EQ(ratio_, 0.25);
  EXPECT_EQ(shift_length_, absl::Minutes(30));
  EXPECT_TRUE(not_durable_);
}

TEST_F(SettingsTest, AFileMaySayNoToAFlag) {
  not_durable_ = true;
  ASSERT_TRUE(Parse({"--config", File("listen = \"127.0.0.1:80\"\nnot_durable = false\n")}).ok());
  EXPECT_FALSE(not_durable_);
}

TEST_F(SettingsTest, WhatIsNotGivenKeepsItsDefault) {
  ASSERT_TRUE(Parse({"--listen", "127.0.0.1:80"}).ok());
  EXPECT_EQ(workers_, 2);
  EXPECT_EQ(ratio_, 0.5);
  EXPECT_EQ(shift_length_, absl::Hours(4));
  EXPECT_FALSE(not_durable_);
}

TEST_F(SettingsTest, AnUnknownSettingIsAnErrorThatNamesIt) {
  EXPECT_THAT(Wrong({"--listen", "127.0.0.1:80", "--wrokers", "3"}), HasSubstr("--wrokers"));
  EXPECT_THAT(Wrong({"--config", File("listen = \"127.0.0.1:80\"\nwrokers = 3\n")}), HasSubstr("wrokers"));
  EXPECT_THAT(Wrong({"--config", File("listen = \"127.0.0.1:80\"\n[section]\nworkers = 3\n")}), HasSubstr("section"));
  EXPECT_THAT(Wrong({"--listen", "127.0.0.1:80", "stray"}), HasSubstr("stray"));
}

TEST_F(SettingsTest, AMissingConfigFileIsAnErrorThatNamesIt) { EXPECT_THAT(Wrong({"--config", folder_ + "/none.toml"}), HasSubstr("none.toml")); }

TEST_F(SettingsTest, AValueOutsideItsBoundsIsAnErrorThatNamesTheSetting) {
  const std::vector<std::string> fine = {"--listen", "127.0.0.1:80"};
  const auto with = [&](const std::string& argument) {
    std::vector<std::string> all = fine;
    all.push_back(argument);
    return all;
  };
  EXPECT_THAT(Wrong(with("--workers=0")), testing::AllOf(HasSubstr("workers"), HasSubstr("1..64")));
  EXPECT_THAT(Wrong(with("--workers=many")), HasSubstr("workers"));
  EXPECT_THAT(Wrong(with("--workers=2.5")), HasSubstr("workers"));
  EXPECT_THAT(Wrong(with("--ratio=1.01")), HasSubstr("ratio"));
  EXPECT_THAT(Wrong(with("--ratio=nan")), HasSubstr("ratio"));
  EXPECT_THAT(Wrong(with("--shift_length=25h")), HasSubstr("shift_length"));
  EXPECT_THAT(Wrong(with("--shift_length=90")), HasSubstr("shift_length"));
  EXPECT_THAT(Wrong({"--listen", "localhost"}), HasSubstr("listen"));
  EXPECT_THAT(Wrong({"--listen", "127.0.0.1:99999"}), HasSubstr("listen"));
}

TEST_F(SettingsTest, ARequiredSettingMustBeGiven) {
  EXPECT_THAT(Wrong({}), HasSubstr("listen"));
  EXPECT_THAT(Wrong({"--listen", ""}), HasSubstr("listen"));
}

TEST_F(SettingsTest, PrintsItsTable) {
  ASSERT_TRUE(Parse({"--print-settings", "--workers", "7"}).ok());
  EXPECT_THAT(printed_, HasSubstr("shift_length"));
  EXPECT_THAT(printed_, HasSubstr("1m..24h"));
  EXPECT_THAT(printed_, testing::ContainsRegex("workers +count +7 +1\\.\\.64 +how many"));
  ASSERT_TRUE(Parse({"--help"}).ok());
  EXPECT_THAT(printed_, HasSubstr("--not-durable"));
}

TEST_F(SettingsTest, TellsMainWhenToEnd) {
  const char* help[] = {"vigil-test", "--help"};
  testing::internal::CaptureStdout();
  EXPECT_EQ(settings_.ParseOrExit(2, help), 0);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("--workers"));
  const char* wrong[] = {"vigil-test", "--nothing"};
  testing::internal::CaptureStderr();
  EXPECT_EQ(settings_.ParseOrExit(2, wrong), 2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("--nothing"));
  const char* fine[] = {"vigil-test", "--listen", "127.0.0.1:80"};
  EXPECT_EQ(settings_.ParseOrExit(3, fine), std::nullopt);
}

TEST(ServiceOptionsTest, AServiceTakesOnlyWhatItDeclares) {
  ServiceOptions options;
  Settings settings("vigil-audit", "the ledger");
  AddServiceOptions(settings, options,
                    {.required = {&ServiceOptions::grpc_listen, &ServiceOptions::nats_url},
                     .optional = {&ServiceOptions::log_level, &ServiceOptions::rehearsal, &ServiceOptions::speed}});
  std::string printed;
  ASSERT_TRUE(settings.Parse({"--nats_url", "tls://127.0.0.1:4222", "--rehearsal", "--speed", "600"}, &printed).ok());
  EXPECT_EQ(options.nats_url, "tls://127.0.0.1:4222");
  EXPECT_TRUE(options.rehearsal);
  EXPECT_EQ(options.speed, 600);
  EXPECT_EQ(options.log_level, "info");
  EXPECT_FALSE(settings.Parse({"--nats_url", "tls://127.0.0.1:4222", "--home", "/"}, &printed).ok());
  EXPECT_FALSE(settings.Parse({"--nats_url", "127.0.0.1"}, &printed).ok());
  EXPECT_FALSE(settings.Parse({"--nats_url", "tls://127.0.0.1:4222", "--log_level", "loud"}, &printed).ok());
}

TEST(ServiceOptionsTest, WhatIsCommonAndAServicesOwnGoTogether) {
  ServiceOptions options;
  Settings settings("vigil-intake", "the door");
  AddServiceOptions(settings, options, CommonOptions());
  AddServiceOptions(settings, options, {.required = {&ServiceOptions::signing_key_file}});
  std::string printed;
  const absl::StatusOr<Settings::Outcome> outcome = settings.Parse({}, &printed);
  EXPECT_THAT(std::string(outcome.status().message()), HasSubstr("installation: must be given"));
  EXPECT_THAT(settings.Table(), testing::AllOf(HasSubstr("nats_seed_file"), HasSubstr("signing_key_file"), HasSubstr("redis_url_file")));
}

TEST(ServiceOptionsTest, EveryOptionCanBeDeclared) {
  using O = ServiceOptions;
  ServiceOptions options;
  Settings settings("x", "x");
  AddServiceOptions(
      settings, options,
      {.required = {},
       .optional = {&O::installation, &O::home, &O::grpc_listen, &O::metrics_listen, &O::tls_ca, &O::tls_certificate, &O::tls_key,
                    &O::nats_url, &O::nats_ca, &O::nats_seed_file, &O::redis_url_file, &O::pack, &O::data_directory, &O::trusted_sources,
                    &O::signing_key_file, &O::installation_key_file, &O::token_public_key_file, &O::check_in_key_file,
                    &O::checkpoint_key_file, &O::not_durable, &O::log_store_directory, &O::rehearsal, &O::speed, &O::http_listen,
                    &O::intake_address, &O::audit_address, &O::notification_address, &O::sandbox_secret_file, &O::provider_url,
                    &O::provider_url_2, &O::callback_base_url, &O::log_level}});
  std::string printed;
  EXPECT_TRUE(settings.Parse({}, &printed).ok());
}

}  // namespace
}  // namespace vigil::config
