#include "platform/metrics/metrics.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "platform/metrics/metric_names.h"

namespace vigil::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MetricsTest, ShowsWhatWasCounted) {
  Registry registry("intake", "1.2.3");
  const Counter web = registry.Get(kReportsAccepted, {"web"});
  web.Increment();
  registry.Get(kReportsAccepted, {"web"}).Increment(2);
  registry.Get(kReportsAccepted, {"phone"}).Increment();
  registry.Get(kAlertsUntaken).Set(5);
  registry.Get(kReportToFirstAttempt).Observe(absl::Milliseconds(30));
  EXPECT_EQ(web.value(), 3);
  const std::string text = registry.Text();
  EXPECT_THAT(text, HasSubstr("vigil_reports_accepted_total{channel=\"web\"} 3"));
  EXPECT_THAT(text, HasSubstr("vigil_reports_accepted_total{channel=\"phone\"} 1"));
  EXPECT_THAT(text, HasSubstr("vigil_alerts_untaken 5"));
  EXPECT_THAT(text, HasSubstr("vigil_report_to_first_attempt_seconds_bucket{le=\"0.025\"} 0"));
  EXPECT_THAT(text, HasSubstr("vigil_report_to_first_attempt_seconds_bucket{le=\"0.05\"} 1"));
  EXPECT_THAT(text, HasSubstr("vigil_build_info{service=\"intake\",version=\"1.2.3\"} 1"));
  EXPECT_THAT(text, HasSubstr("# HELP vigil_alerts_untaken "));
}

TEST(MetricsTest, ACounterNeverGoesDown) {
  Registry registry("x", "1");
  const Counter counter = registry.Get(kBreakGlass);
  counter.Increment(2);
  counter.Increment(-1);
  EXPECT_EQ(counter.value(), 2);
}

TEST(MetricsTest, AHandleOfNothingCountsNothing) {
  Counter().Increment();
  Gauge().Set(1);
  Histogram().Observe(1.0);
  EXPECT_EQ(Gauge().value(), 0);
}

TEST(MetricsTest, ReadsGaugesWhenScraped) {
  Registry registry("x", "1");
  int lag = 7;
  registry.OnScrape([&, gauge = registry.Get(kLogLag, {"03"})] { gauge.Set(lag); });
  EXPECT_THAT(registry.Text(), HasSubstr("vigil_log_lag_commits{partition=\"03\"} 7"));
  lag = 0;
  EXPECT_THAT(registry.Text(), HasSubstr("vigil_log_lag_commits{partition=\"03\"} 0"));
  EXPECT_THAT(registry.Text(), Not(HasSubstr("process_resident_memory_bytes 0\n")));
}

std::string Get(int port) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const std::string request = "GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n";
  EXPECT_EQ(write(connection, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(connection, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(got));
  close(connection);
  return text;
}

TEST(MetricsTest, ServesThemOverHttpAlsoAfterTheRegistryHasGone) {
  auto registry = std::make_unique<Registry>("audit", "1");
  registry->OnScrape([gauge = registry->Get(kAlertsUntaken)] { gauge.Set(4); });
  const auto exposer = Exposer::Start(*registry, "127.0.0.1:0");
  ASSERT_TRUE(exposer.ok()) << exposer.status();
  EXPECT_THAT(Get((*exposer)->port()), testing::AllOf(HasSubstr("200 OK"), HasSubstr("vigil_alerts_untaken 4")));
  registry.reset();
  EXPECT_THAT(Get((*exposer)->port()), HasSubstr("vigil_build_info"));
}

TEST(MetricsTest, APortThatIsTakenOrAnAddressThatIsNoneIsAnError) {
  Registry registry("x", "1");
  const auto exposer = Exposer::Start(registry, "127.0.0.1:0");
  ASSERT_TRUE(exposer.ok()) << exposer.status();
  EXPECT_EQ(Exposer::Start(registry, "127.0.0.1:" + std::to_string((*exposer)->port())).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Exposer::Start(registry, "9100").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace vigil::metrics
