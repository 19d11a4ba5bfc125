// A school, the log, and a notification service between them; other services are whoever writes a draft.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "domain/file.h"
#include "domain/pack/loader.h"
#include "domain/school_time.h"
#include "machine/loop.h"
#include "machine/machine.h"
#include "notification/channels/fake/fake_provider.h"
#include "notification/notification.h"
#include "platform/clock/clock.h"
#include "platform/crypto/random.h"
#include "platform/keys/fake_key_store.h"
#include "platform/log/fake_log.h"
#include "platform/metrics/metrics.h"
#include "platform/pack_directory/pack_directory.h"

namespace vigil::notification {

inline std::shared_ptr<const domain::Pack> PrimarySchoolPack() {
  static const auto pack = *domain::LoadPack(*ReadPackDirectory(VIGIL_PRIMARY_SCHOOL_PACK), PackDigest);
  return pack;
}

inline const PackLibrary& Packs() {
  static const PackLibrary packs(PrimarySchoolPack());
  return packs;
}

// 10 in the morning of a school day.
inline absl::Time SchoolMorning() { return absl::FromCivil(absl::CivilSecond(2026, 3, 5, 10, 0, 0), domain::SchoolZone()); }

class World {
 public:
  static constexpr char kSchool[] = "s-1";

  World() {
    for (const char* source : {"intake", "risk", "timer", "notice"}) {
      signing_keys_.emplace(source, SigningKey::Generate(random_));
      trusted_.emplace_back(source, signing_keys_.at(source).verify_key());
    }
    for (const char* source : {"intake", "risk", "timer"}) writers_[source] = MakeNode(source, &nobody_);
    reader_keys_ = keys_.Connect();
  }

  // The process ends, whatever it was doing, and starts again.
  void StartNotification(bool second_provider = false) {
    notice_.reset();
    notification_.reset();
    NotificationDependencies dependencies{.keys = reader_keys_.get(), .providers = {&first}, .metrics = &metrics};
    if (second_provider) dependencies.providers.push_back(&second);
    notification_ = std::make_unique<Notification>(dependencies);
    notice_ = MakeNode("notice", notification_.get(), [this](Machine* machine) { notification_->Attach(machine); });
    Settle();
  }
  void StopNotification() {
    notice_.reset();
    notification_.reset();
  }

  // Lets happen what can until the log of the school has grown by a message.
  void SettleUntilStored() {
    const int partition = PartitionOf(kSchool);
    const std::uint64_t before = broker.LastSequence(partition);
    while (broker.LastSequence(partition) == before) {
      for (auto& [source, node] : writers_) node->loop.RunAll();
      if (notice_) notice_->loop.RunAll();
      ASSERT_TRUE(broker.DeliverOne());
    }
  }
  // Lets happen all that now can.
  void Settle() {
    for (bool moved = true; moved;) {
      moved = false;
      for (auto& [source, node] : writers_) moved = node->loop.RunAll() || moved;
      if (notice_) moved = notice_->loop.RunAll() || moved;
      // After the loops: what a timer made them append is on its way now.
      moved = broker.Deliver() > 0 || moved;
    }
  }
  void Advance(absl::Duration duration) {
    clock.Advance(duration);
    Settle();
  }

  // Appends as another service; returns what became of it.
  absl::Status Write(const std::string& source, const std::string& file, std::vector<domain::Event> events, const std::string& person = "somebody") {
    auto status = std::make_shared<std::optional<absl::Status>>();
    Begin(source, file, std::move(events), person, status);
    Settle();
    return status->value_or(absl::UnavailableError("not answered"));
  }
  void Begin(const std::string& source, const std::string& file, std::vector<domain::Event> events, const std::string& person = "somebody",
             std::shared_ptr<std::optional<absl::Status>> status = std::make_shared<std::optional<absl::Status>>()) {
    Draft draft{.cause = absl::StrCat("test/", ++causes_), .school = kSchool, .file = file, .actor = {.person = person}};
    draft.events = std::move(events);
    writers_.at(source)->machine->SubmitHere(
        PartitionOf(kSchool), 0, [draft] { return draft; }, [status](const absl::StatusOr<Machine::Outcome>& outcome) { *status = outcome.status(); });
    writers_.at(source)->loop.Post([] {});
  }

  struct Staff {
    std::string id;
    std::string role;
    std::string phone;
    std::string language = "";
  };
  void AddSchool(const std::vector<Staff>& staff, int students = 1) {
    ASSERT_TRUE(Write("intake", "", {Of(domain::SchoolRegistered{.school_name = "示例小学", .duty_phone = "+86100", .language = "zh-CN"})}).ok());
    PutStaff(staff);
    domain::DirectoryChanged children;
    for (int i = 1; i <= students; ++i) {
      children.people.push_back({.person_id = absl::StrCat("child-", i), .kind = domain::PersonKind::kStudent, .grade = "3", .class_name = "3-2"});
    }
    ASSERT_TRUE(Write("intake", "", {Of(std::move(children))}).ok());
  }
  void PutStaff(const std::vector<Staff>& staff) {
    domain::DirectoryChanged change;
    for (const Staff& one : staff) {
      domain::Person person{.person_id = one.id, .kind = domain::PersonKind::kStaff, .roles = {one.role}, .grade = "3", .class_name = "3-2", .has_phone = !one.phone.empty()};
      const std::string subject = absl::StrCat(kSchool, ".", one.id);
      const SealingKey key = writer_keys_->EnsureKey(subject)->key;
      const nlohmann::json contact{{"name", absl::StrCat("姓名-", one.id)}, {"phone", one.phone}, {"language", one.language}};
      person.contact = domain::Sealed{.person = subject, .content = key.Seal(contact.dump(), subject, random_)};
      change.people.push_back(std::move(person));
    }
    ASSERT_TRUE(Write("intake", "", {Of(std::move(change))}).ok());
  }
  void EraseKey(const std::string& person) { ASSERT_TRUE(writer_keys_->Erase(absl::StrCat(kSchool, ".", person)).ok()); }

  // Its code is K0001 for the first child.
  static std::string CaseOf(int child) { return absl::StrFormat("case-k%04d", child); }
  static std::string FileOf(int child) { return absl::StrCat("file-", child); }
  // A severe report about a child and its classification, which raises the alert.
  void ReportSevere(int child = 1, const std::string& reporter = "teacher") {
    const std::string id = absl::StrCat("report-", child, "-", ++causes_);
    ASSERT_TRUE(Write("intake", FileOf(child),
                      {Of(domain::ReportReceived{.report_id = id,
                                                 .case_id = CaseOf(child),
                                                 .student = absl::StrCat("child-", child),
                                                 .channel = "web",
                                                 .reporter_kind = "staff",
                                                 .reporter = reporter,
                                                 .discovered_time = clock.Now(),
                                                 .indicators = {"W1a"}})},
                      reporter)
                    .ok());
    ASSERT_TRUE(Write("risk", FileOf(child), {Of(domain::Classified{.report_id = id, .level = "severe", .trigger = true})}).ok());
  }

  template <typename Body>
  static domain::Event Of(Body body) {
    return domain::Event{std::move(body)};
  }

  // As another service sees it.
  const domain::FileState& File(int child = 1) { return writers_.at("timer")->machine->FindFile(FileOf(child))->state; }
  const domain::AlertState& Alert(const std::string& ladder = "severe_ladder", int child = 1) {
    for (const domain::AlertState& alert : File(child).current->alerts) {
      if (alert.ladder == ladder) return alert;
    }
    ADD_FAILURE() << "no alert of " << ladder;
    static const domain::AlertState kNone;
    return kNone;
  }
  const domain::AttemptState* Attempt(const std::string& id, int child = 1) {
    for (const domain::AlertState& alert : File(child).current->alerts) {
      for (const domain::AttemptState& attempt : alert.attempts) {
        if (attempt.attempt_id == id) return &attempt;
      }
    }
    return nullptr;
  }
  // Every event of the notification service in the log, as JSON-like names, in order; and how many commits they came in.
  struct Written {
    std::vector<domain::Event> events;
    int commits = 0;
  };
  const Written& written() const { return nobody_.written; }
  template <typename Body>
  std::vector<Body> EventsOf() const {
    std::vector<Body> found;
    for (const domain::Event& event : nobody_.written.events) {
      if (const auto* body = std::get_if<Body>(&event.body)) found.push_back(*body);
    }
    return found;
  }

  // What the gateway would pass on; the status once it was answered.
  std::shared_ptr<std::optional<absl::Status>> Tell(const std::string& kind, const nlohmann::json& body) {
    auto answer = std::make_shared<std::optional<absl::Status>>();
    notification_->ReceiveCallback(kind, body.dump(), [answer](absl::Status status) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = std::move(status);
    });
    Settle();
    return answer;
  }
  std::string NowText() const { return absl::FormatTime(absl::RFC3339_full, clock.Now(), absl::UTCTimeZone()); }
  absl::Status TellCall(const std::string& id, const std::string& event, const std::string& digits = "") {
    nlohmann::json body{{"id", id}, {"event", event}, {"time", NowText()}};
    if (!digits.empty()) body["digits"] = digits;
    return Tell("call", body)->value_or(absl::UnavailableError("not answered"));
  }
  absl::Status TellReply(const std::string& id, const std::string& text) {
    return Tell("message", {{"id", id}, {"event", "reply"}, {"text", text}, {"time", NowText()}})->value_or(absl::UnavailableError("not answered"));
  }

  static const FakeProvider::Order* Find(const std::vector<FakeProvider::Order>& orders, const std::string& channel, const std::string& to) {
    for (const FakeProvider::Order& order : orders) {
      if (order.channel == channel && order.to == to) return &order;
    }
    return nullptr;
  }
  std::string IdOf(const std::string& channel, const std::string& to) {
    const auto orders = first.placed();
    const FakeProvider::Order* order = Find(orders, channel, to);
    EXPECT_NE(order, nullptr) << "nothing was placed to " << to;
    return order == nullptr ? "" : order->id;
  }

  Notification& notification() { return *notification_; }

  ManualClock clock{SchoolMorning()};
  FakeBroker broker{[this] { return clock.Now(); }};
  FakeProvider first{"sandbox"};
  FakeProvider second{"sandbox-2"};
  metrics::Registry metrics{"notification", "test"};

 private:
  class Onlooker final : public Service {
   public:
    void OnCommit(const AppliedCommit& applied) override {
      // One of several machines that share it keeps the record.
      if (applied.commit.source != "notice" || !seen_.insert({applied.position.sequence, applied.position.index}).second) return;
      if (!applied.applied.guard.ok()) return;
      ++written.commits;
      written.events.insert(written.events.end(), applied.commit.events.begin(), applied.commit.events.end());
    }
    Written written;

   private:
    std::set<std::pair<std::uint64_t, std::uint32_t>> seen_;
  };
  struct Node {
    // A log that ends still answers what was on its way.
    ManualLoop loop;
    std::unique_ptr<Log> log;
    std::unique_ptr<Machine> machine;
  };

  std::unique_ptr<Node> MakeNode(const std::string& source, Service* service, const std::function<void(Machine*)>& attach = {}) {
    auto node = std::make_unique<Node>();
    node->log = broker.Connect(source);
    node->machine = std::make_unique<Machine>(&Packs(), node->log.get(), &clock, &node->loop, service,
                                              MachineOptions{.installation = "test", .signing_key = signing_keys_.at(source), .trusted_sources = trusted_});
    if (attach) attach(node->machine.get());
    node->loop.SetHooks(node->machine->hooks());
    EXPECT_TRUE(node->machine->Start().ok());
    return node;
  }

  SeededRandom random_{1};
  FakeKeyBucket keys_{random_};
  std::unique_ptr<KeyStore> writer_keys_ = keys_.Connect();
  std::unique_ptr<KeyStore> reader_keys_;
  std::map<std::string, SigningKey> signing_keys_;
  std::vector<std::pair<std::string, VerifyKey>> trusted_;
  Onlooker nobody_;
  std::map<std::string, std::unique_ptr<Node>> writers_;
  std::unique_ptr<Notification> notification_;
  std::unique_ptr<Node> notice_;
  int causes_ = 0;
};

}  // namespace vigil::notification
