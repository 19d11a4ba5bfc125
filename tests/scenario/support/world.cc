#include "scenario/support/world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "domain/pack/loader.h"
#include "platform/crypto/derive.h"
#include "platform/crypto/hash.h"
#include "platform/pack_directory/pack_directory.h"
#include "support/state_bytes.h"

namespace vigil::scenario {
namespace {

// More rounds than this without an end is a machine that feeds itself.
constexpr int kMaxRounds = 100'000;

// Read once: many worlds of one test program share it.
const PackLibrary* PrimarySchool() {
  static const PackLibrary* const loaded = [] {
    const auto files = ReadPackDirectory(VIGIL_PRIMARY_SCHOOL_PACK);
    auto packs = PackLibrary::Open(files.value_or(domain::PackFiles{}), PackDigest);
    if (!packs.ok()) ADD_FAILURE() << packs.status();
    return packs.ok() ? packs->release() : nullptr;
  }();
  return loaded;
}

}  // namespace

absl::Time At(std::string_view local) {
  absl::Time time = absl::InfinitePast();
  std::string error;
  if (!absl::ParseTime("%Y-%m-%d %H:%M", absl::string_view(local.data(), local.size()), absl::FixedTimeZone(8 * 60 * 60), &time, &error)) {
    ADD_FAILURE() << error;
  }
  return time;
}

Service::Plan EverybodyAnswers::PlanFor(const FileEntry& file, const domain::SchoolState&, absl::Time now) {
  Plan plan;
  if (!domain::HasOpenCase(file.state)) return plan;
  for (const domain::AlertState& alert : file.state.current->alerts) {
    const domain::LadderRow* ladder = file.pack().FindLadder(alert.ladder);
    if (alert.phase != domain::AlertPhase::kOpen || ladder == nullptr || !ladder->takeable) continue;
    if (const absl::Time at = alert.raised_time + wait_; at > now) {
      plan.wake = std::min(plan.wake, at);
      continue;
    }
    plan.due = Draft{.cause = absl::StrCat("take/", file.state.file, "/", alert.alert_id, "/", alert.round),
                     .school = file.state.school,
                     .file = file.state.file,
                     .actor = {.person = "leader", .role = "leader"},
                     .events = {{domain::AlertTaken{.alert_id = alert.alert_id, .person = "leader", .how = "keypress"}}}};
    break;
  }
  return plan;
}

// ------------------------------------------------------------------------------------------------ a node

Node::Node(World* world, NodeOptions options) : world_(world), options_(std::move(options)) {}

Node::~Node() { Kill(); }

void Node::Kill() {
  if (!running()) return;
  if (options_.detach) options_.detach(*service_);
  // The machine's subscriptions end before the log, whose last answers find the loop still there.
  machine_.reset();
  log_.reset();
  service_.reset();
  loops_.clear();
  loop_.reset();
}

void Node::Start() {
  ++life_;
  loop_ = std::make_unique<ManualLoop>();
  service_ = options_.make ? options_.make(*this) : std::make_unique<Service>();
  log_ = world_->broker_.Connect(options_.source);
  MachineOptions options{.installation = "test", .trusted_sources = World::TrustedSources()};
  if (options_.writes) options.signing_key = World::KeyOf(options_.source);
  machine_ = std::make_unique<Machine>(world_->packs_, log_.get(), &world_->clock_, loop_.get(), service_.get(), std::move(options));
  loop_->SetHooks(machine_->hooks());
  if (options_.attach) options_.attach(*service_, *machine_);
  const absl::Status started = machine_->Start();
  EXPECT_TRUE(started.ok()) << started;
}

ManualLoop* Node::AddLoop(LoopHooks hooks) {
  loops_.push_back(std::make_unique<ManualLoop>());
  if (hooks.on_wake) loops_.back()->SetHooks(std::move(hooks));
  return loops_.back().get();
}

Node::Outcome Node::Submit(const std::string& school, const std::string& file, std::vector<domain::Event> events, const std::string& person,
                           const std::string& role, std::uint64_t expected_version, int priority) {
  Draft draft{.cause = absl::StrCat("by hand/", life_, "/", ++next_cause_),
              .school = school,
              .file = file,
              .actor = {.person = person, .role = role},
              .events = std::move(events),
              .expected_version = expected_version};
  auto outcome = std::make_shared<std::optional<absl::Status>>();
  machine_->Submit(
      PartitionOf(school), priority, [draft = std::move(draft)]() -> absl::StatusOr<Draft> { return draft; },
      [outcome](absl::StatusOr<Machine::Outcome> result) { *outcome = result.status(); });
  return outcome;
}

absl::Status Node::Do(const std::string& school, const std::string& file, std::vector<domain::Event> events, const std::string& person,
                      const std::string& role, std::uint64_t expected_version) {
  const Outcome outcome = Submit(school, file, std::move(events), person, role, expected_version);
  world_->Settle();
  return outcome->value_or(absl::DeadlineExceededError("not answered"));
}

const domain::FileState& Node::File(const std::string& file) {
  static const domain::FileState kNone;
  const FileEntry* entry = machine_->FindFile(file);
  EXPECT_NE(entry, nullptr) << "no file " << file;
  return entry == nullptr ? kNone : entry->state;
}

const domain::ClockState* Node::Clock(std::string_view kind, const std::string& file) {
  const domain::FileState& state = File(file);
  const domain::ClockState* found = nullptr;
  if (!state.current) return found;
  for (const domain::ClockState& clock : state.current->clocks) {
    if (clock.kind == kind) found = &clock;
  }
  return found;
}

const domain::AlertState* Node::Alert(std::string_view ladder, const std::string& file) {
  const domain::FileState& state = File(file);
  const domain::AlertState* found = nullptr;
  if (!state.current) return found;
  for (const domain::AlertState& alert : state.current->alerts) {
    if (alert.ladder == ladder) found = &alert;
  }
  return found;
}

std::string Node::StateBytes() const { return vigil::StateBytes(*machine_); }

// ------------------------------------------------------------------------------------------------ the world

World::World(absl::Time start, std::uint64_t seed)
    : packs_(PrimarySchool()), clock_(start), random_(seed), broker_([this] { return clock_.Now(); }), keys_(random_) {}

World::~World() = default;

SigningKey World::KeyOf(const std::string& source) { return *SigningKey::FromSeed(AsString(Sha256(absl::StrCat("signs as ", source)))); }

std::vector<std::pair<std::string, VerifyKey>> World::TrustedSources() {
  std::vector<std::pair<std::string, VerifyKey>> sources;
  for (const char* source : {"intake", "risk", "timer", "notice"}) sources.emplace_back(source, KeyOf(source).verify_key());
  return sources;
}

Node& World::Run(NodeOptions options) {
  nodes_.push_back(std::make_unique<Node>(this, std::move(options)));
  nodes_.back()->Start();
  Settle();
  return *nodes_.back();
}

Node& World::RunWriter(const std::string& source) { return Run({.source = source}); }

bool World::Settle() {
  for (int round = 0; round < kMaxRounds; ++round) {
    bool happened = false;
    for (const auto& node : nodes_) {
      if (node->loop_ != nullptr) happened = node->loop_->RunAll() || happened;
      for (const auto& loop : node->loops_) happened = loop->RunAll() || happened;
    }
    happened = broker_.Deliver() > 0 || happened;
    if (!happened) return true;
  }
  ADD_FAILURE() << "the world does not come to rest";
  return false;
}

absl::Time World::NextTime() const {
  absl::Time next = broker_.NextTime();
  for (const auto& node : nodes_) {
    if (node->loop_ != nullptr) next = std::min(next, node->loop_->next_wake());
    for (const auto& loop : node->loops_) next = std::min(next, loop->next_wake());
  }
  return next;
}

void World::AdvanceTo(absl::Time instant) {
  AdvanceUntil([] { return false; }, instant - clock_.Now());
}

bool World::AdvanceUntil(const std::function<bool()>& done, absl::Duration longest) {
  const absl::Time end = clock_.Now() + longest;
  if (!Settle()) return false;
  while (!done()) {
    if (clock_.Now() >= end) return false;
    // What is still due now waits for something that only time brings.
    const absl::Time next = std::max(NextTime(), clock_.Now() + absl::Milliseconds(1));
    clock_.AdvanceTo(std::min(next, end));
    if (!Settle()) return false;
  }
  return true;
}

std::string World::PhoneOf(const std::string& school, const std::string& person) {
  // Eleven digits, the same for the same person.
  const Digest hash = Sha256(absl::StrCat(school, "/", person));
  std::string number = "1";
  for (int i = 0; i < 10; ++i) number.push_back(static_cast<char>('0' + hash[static_cast<std::size_t>(i)] % 10));
  return number;
}

void World::OpenSchool(Node& writer, const std::string& school) {
  const std::unique_ptr<KeyStore> keys = keys_.Connect();
  const auto person = [&](std::string id, domain::PersonKind kind, std::vector<std::string> roles) {
    domain::Person made{.person_id = id, .kind = kind, .roles = std::move(roles), .has_phone = kind != domain::PersonKind::kStudent};
    const std::string subject = absl::StrCat(school, "/", id);
    const absl::StatusOr<KeyRef> key = keys->EnsureKey(subject);
    EXPECT_TRUE(key.ok()) << key.status();
    const std::string contact = absl::StrCat(R"({"name":"name of )", id, R"(","phone":")", PhoneOf(school, id), R"(","language":"zh-CN"})");
    if (key.ok()) made.contact = domain::Sealed{.person = subject, .content = key->key.Seal(contact, subject, random_)};
    return made;
  };
  const auto staff = [&](std::string id, std::string role) { return person(std::move(id), domain::PersonKind::kStaff, {std::move(role)}); };
  domain::DirectoryChanged directory;
  for (const auto& [id, role] : std::initializer_list<std::pair<const char*, const char*>>{{"leader", "leader"},
                                                                                          {"deputy", "deputy"},
                                                                                          {"office", "counselling_office"},
                                                                                          {"grade_head", "grade_head"},
                                                                                          {"class_teacher", "class_teacher"},
                                                                                          {"teacher", "teacher"},
                                                                                          {"guard", "security"},
                                                                                          {"guard_2", "security"},
                                                                                          {"crisis", "crisis_team"},
                                                                                          {"assessor", "assessment_group"}}) {
    directory.people.push_back(staff(id, role));
    if (std::string_view(id) == "grade_head") directory.people.back().grade = "3";
    if (std::string_view(id) == "class_teacher") {
      directory.people.back().grade = "3";
      directory.people.back().class_name = "3-2";
    }
  }
  domain::Person child = person("child", domain::PersonKind::kStudent, {});
  child.grade = "3";
  child.class_name = "3-2";
  directory.people.push_back(std::move(child));
  int order = 0;
  for (const char* id : {"mother", "father"}) {
    domain::Person guardian = person(id, domain::PersonKind::kGuardian, {"guardian"});
    guardian.student_id = "child";
    guardian.call_order = ++order;
    directory.people.push_back(std::move(guardian));
  }
  std::vector<domain::Event> events;
  events.push_back({domain::SchoolRegistered{.school_name = "测试小学", .duty_phone = "02100000000", .language = "zh-CN", .short_code = "TS"}});
  events.push_back({std::move(directory)});
  const absl::Status done = writer.Do(school, "", std::move(events), "administrator", "administrator");
  EXPECT_TRUE(done.ok()) << done;
}

std::string World::Report(Node& writer, const ReportOf& report, const std::string& file, const std::string& school) {
  const std::string id = absl::StrCat("report-", ++reports_);
  domain::ReportReceived received{.report_id = id,
                                  .case_id = absl::StrCat("case-", file),
                                  .student = report.student,
                                  .channel = "web",
                                  .reporter_kind = "staff",
                                  .reporter = report.reporter,
                                  .observed_time = now(),
                                  .discovered_time = report.discovered_time == absl::InfinitePast() ? now() : report.discovered_time,
                                  .reported_time = now(),
                                  .indicators = report.indicators,
                                  .claimed_level = report.claimed_level,
                                  .deteriorating = report.deteriorating,
                                  .sight = report.sight,
                                  .sight_person = report.sight_person};
  const absl::Status done = writer.Do(school, file, std::move(received), report.reporter, "class_teacher");
  EXPECT_TRUE(done.ok()) << done;
  return id;
}

}  // namespace vigil::scenario
