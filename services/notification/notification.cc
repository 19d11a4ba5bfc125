#include "notification/notification.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "domain/file.h"
#include "domain/on_call.h"
#include "domain/planted.h"
#include "domain/school_time.h"
#include "notification/texts.h"
#include "platform/crypto/derive.h"
#include "platform/logging/log.h"
#include "platform/metrics/metric_names.h"
#include "vigil/state/v1/snapshot.pb.h"

namespace vigil::notification {
namespace {

using domain::AlertPhase;
using domain::AttemptEvent;
using domain::AttemptEventState;
using nlohmann::json;

// The source that this service writes as, and what stands for a person where none acted.
constexpr std::string_view kSource = "notice";
constexpr char kActor[] = "notification";
constexpr std::string_view kCallChannel = "call";
constexpr std::string_view kMessageChannel = "sms";

constexpr int kProgressPriority = 10;
constexpr int kPersonPriority = 100;
// Far below what fits a commit.
constexpr std::size_t kMostProgressOfCommit = 500;
// An endless ladder makes attempts without end; receipts of older ones no longer change anything.
constexpr std::size_t kMostAttemptsOfAlert = 512;
// Whom a step rings is asked again after this (real time), though nothing has changed: rosters change by the clock.
constexpr absl::Duration kResolvedFor = absl::Seconds(1);
// After so many failures in a row a provider is asked second, but for a probe now and then (real time).
constexpr int kFailuresOfSickProvider = 3;
constexpr absl::Duration kProbeEvery = absl::Seconds(5);

// Ranks of what waits for a provider: the first call of an alert, other calls, messages; in each, by the ladder's priority.
constexpr int kCallRank = 10'000;
constexpr int kFirstCallRank = 20'000;

constexpr metrics::CounterMetric<0> kUnknownCallbacks{
    "vigil_notice_unknown_callbacks_total", "Callbacks of providers about attempts or events that are not known (any more).", {}};

std::string_view NameOf(AttemptEvent event) {
  switch (event) {
    case AttemptEvent::kUnspecified:
      return "unspecified";
    case AttemptEvent::kSent:
      return "sent";
    case AttemptEvent::kRefused:
      return "refused";
    case AttemptEvent::kRinging:
      return "ringing";
    case AttemptEvent::kAnswered:
      return "answered";
    case AttemptEvent::kVoicemail:
      return "voicemail";
    case AttemptEvent::kNoAnswer:
      return "no_answer";
    case AttemptEvent::kBusy:
      return "busy";
    case AttemptEvent::kFailed:
      return "failed";
    case AttemptEvent::kDelivered:
      return "delivered";
    case AttemptEvent::kUndelivered:
      return "undelivered";
    case AttemptEvent::kDigits:
      return "digits";
    case AttemptEvent::kDeclined:
      return "declined";
    case AttemptEvent::kBridged:
      return "bridged";
    case AttemptEvent::kCompleted:
      return "completed";
    case AttemptEvent::kReplied:
      return "replied";
    case AttemptEvent::kDropped:
      return "dropped";
  }
  return "unspecified";
}

// A provider's word for an event; nullopt: not one of them.
std::optional<AttemptEvent> EventOf(std::string_view word) {
  static const std::unordered_map<std::string_view, AttemptEvent> kWords = {
      {"ringing", AttemptEvent::kRinging},     {"answered", AttemptEvent::kAnswered},       {"digits", AttemptEvent::kDigits},
      {"bridged", AttemptEvent::kBridged},     {"voicemail", AttemptEvent::kVoicemail},     {"no_answer", AttemptEvent::kNoAnswer},
      {"busy", AttemptEvent::kBusy},           {"failed", AttemptEvent::kFailed},           {"completed", AttemptEvent::kCompleted},
      {"delivered", AttemptEvent::kDelivered}, {"undelivered", AttemptEvent::kUndelivered}, {"reply", AttemptEvent::kReplied}};
  const auto it = kWords.find(word);
  return it == kWords.end() ? std::nullopt : std::optional(it->second);
}

const domain::AttemptState* FindAttempt(const domain::AlertState& alert, std::string_view id) {
  for (const domain::AttemptState& attempt : alert.attempts) {
    if (attempt.attempt_id == id) return &attempt;
  }
  return nullptr;
}

bool IsRecused(const domain::FileState& file, const std::string& person) {
  const auto& recused = file.current->recused;
  return std::find(recused.begin(), recused.end(), person) != recused.end();
}

// The report that the alert's trigger came from.
const domain::ReportState* TriggeringReport(const domain::FileState& file, const domain::AlertState& alert) {
  const domain::CaseState& c = *file.current;
  if (alert.trigger <= 0 || static_cast<std::size_t>(alert.trigger) > c.triggers.size()) return nullptr;
  const std::string& id = c.triggers[static_cast<std::size_t>(alert.trigger) - 1].report_id;
  for (const domain::ReportState& report : c.reports) {
    if (!id.empty() && report.report_id == id) return &report;
  }
  return nullptr;
}

// The person who reported what the alert is about; without a trigger the first reporter on record. Empty: nobody on record.
std::string ReporterOf(const domain::FileState& file, const domain::AlertState& alert) {
  if (const domain::ReportState* report = TriggeringReport(file, alert); report != nullptr) return report->reporter;
  for (const domain::ReportState& report : file.current->reports) {
    if (!report.reporter.empty()) return report.reporter;
  }
  return "";
}

std::string CodeKey(const std::string& school, std::string_view code) { return absl::StrCat(school, "/", absl::string_view(code.data(), code.size())); }

}  // namespace

Notification::Notification(NotificationDependencies dependencies)
    : dependencies_(std::move(dependencies)), contacts_(dependencies_.keys), health_(dependencies_.providers.size()) {
  mailbox_->owner = this;
  if (dependencies_.metrics != nullptr) {
    first_attempt_ = dependencies_.metrics->Get(metrics::kReportToFirstAttempt);
    unknown_callbacks_ = dependencies_.metrics->Get(kUnknownCallbacks);
    dependencies_.metrics->Get(metrics::kBreakGlass);
  }
}

Notification::~Notification() {
  const std::lock_guard lock(mailbox_->mutex);
  mailbox_->owner = nullptr;
}

void Notification::Attach(Machine* machine) { machine_ = machine; }

// ------------------------------------------------------------------------------------------------ deciding

Service::Plan Notification::PlanFor(const FileEntry& file, const domain::SchoolState& school, absl::Time now) {
  Plan plan;
  // The most urgent alert that lacks an attempt.
  const domain::AlertState* alert = nullptr;
  std::vector<domain::Event> intended;
  for (const domain::AlertState& candidate : file.state.current->alerts) {
    if (candidate.phase != AlertPhase::kOpen) continue;
    const domain::LadderRow* ladder = file.pack().FindLadder(candidate.ladder);
    if (ladder == nullptr || (alert != nullptr && ladder->priority <= plan.priority)) continue;
    std::vector<domain::Event> events = Intend(file, school, candidate, *ladder, now, &plan.wake);
    if (events.empty()) continue;
    alert = &candidate;
    intended = std::move(events);
    plan.priority = ladder->priority;
  }
  if (alert != nullptr) {
    plan.due = NewDraft(file, absl::StrCat("intend/", file.state.file, "/", alert->alert_id, "/", alert->round, "/", alert->step, "/",
                                           file.state.version));
    plan.due->events = std::move(intended);
  }
  const auto work = work_.find(&file);
  if (work == work_.end() || work->second.progress.empty()) return plan;
  if (!plan.due) {
    const absl::Time real = machine_->clock()->NowReal();
    const absl::Duration gathering = GatheredUntil(work->second, file.partition) - real;
    if (gathering > absl::ZeroDuration()) {
      plan.wake = std::min(plan.wake, now + gathering * machine_->clock()->Speed());
      return plan;
    }
    plan.due = NewDraft(file, absl::StrCat("progress/", file.state.file, "/", file.state.version));
    plan.priority = kProgressPriority;
  }
  // A refusal goes in one commit with the attempt that replaces it, so that the ladder does not climb between them.
  std::size_t count = 0;
  for (const Progress& progress : work->second.progress) {
    if (++count > kMostProgressOfCommit) break;
    plan.due->events.push_back(domain::Event{
        domain::AttemptProgressed{.attempt_id = progress.attempt_id, .event = progress.event, .event_time = progress.event_time}});
  }
  return plan;
}

// Until when (real time) what a file's requests came to waits for more of it.
absl::Time Notification::GatheredUntil(const Work& work, int partition) {
  const bool only_sent = std::all_of(work.progress.begin(), work.progress.end(), [](const Progress& progress) {
    return progress.event == AttemptEvent::kSent && !progress.reply;
  });
  if (only_sent) {
    const absl::Time grid = absl::UnixEpoch() + kSentGrid / kPartitions * partition;
    return grid + absl::Ceil(work.since - grid, kSentGrid);
  }
  return work.requests > 0 ? work.since + kLongestGathering : absl::InfinitePast();
}

Draft Notification::NewDraft(const FileEntry& file, std::string cause) const {
  Draft draft;
  draft.cause = std::move(cause);
  draft.school = file.state.school;
  draft.file = file.state.file;
  draft.actor = {.person = kActor};
  return draft;
}

std::vector<domain::Event> Notification::Intend(const FileEntry& file, const domain::SchoolState& school, const domain::AlertState& alert,
                                                const domain::LadderRow& ladder, absl::Time now, absl::Time* wake) {
  std::vector<domain::Event> events;
  if (alert.step < 0 || static_cast<std::size_t>(alert.step) >= ladder.steps.size()) return events;
  const domain::LadderStep& step = ladder.steps[static_cast<std::size_t>(alert.step)];
  if (ladder.quiet_at_night) {
    if (const absl::Time morning = domain::NextMorning(now, file.pack().night_from, file.pack().night_to); morning > now) {
      *wake = std::min(*wake, morning);
      return events;
    }
  }
  const auto intend = [&](const std::string& person, std::string_view channel, int tries, std::size_t provider) {
    domain::AttemptIntended intended;
    intended.attempt_id = DeriveId('t', {alert.alert_id, person, channel, absl::StrCat(alert.round), absl::StrCat(alert.step), absl::StrCat(tries)});
    intended.alert_id = alert.alert_id;
    intended.person = person;
    intended.channel = channel;
    intended.provider = dependencies_.providers[provider]->name();
    intended.step = alert.step;
    intended.round = alert.round;
    intended.text = channel == kCallChannel ? ladder.call_text : ladder.sms_text;
    events.push_back(domain::Event{std::move(intended)});
  };
  const bool begun = std::any_of(alert.attempts.begin(), alert.attempts.end(), [&](const domain::AttemptState& attempt) {
    return attempt.step == alert.step && attempt.round == alert.round;
  });
  if (!begun) {
    const std::vector<std::string> people = PeopleOfStep(file, school, alert, step, now);
    const std::size_t provider = PreferredProvider();
    if (step.call) {
      for (const std::string& person : people) intend(person, kCallChannel, 0, provider);
    }
    if (step.sms) {
      for (const std::string& person : people) intend(person, kMessageChannel, 0, provider);
    }
    return events;
  }
  // All of a step is intended in one commit, so what may lack now is only what replaces a refused attempt.
  for (auto last = alert.attempts.rbegin(); last != alert.attempts.rend(); ++last) {
    if (last->step != alert.step || last->round != alert.round || IsRecused(file.state, last->person)) continue;
    const auto same = [&](const domain::AttemptState& other) {
      return other.step == last->step && other.round == last->round && other.channel == last->channel && other.person == last->person;
    };
    if (std::any_of(alert.attempts.rbegin(), last, same)) continue;  // it was replaced
    const int tries = static_cast<int>(std::count_if(alert.attempts.begin(), alert.attempts.end(), same));
    const absl::Time at = RetryTime(file, *last, tries, now);
    if (at > now) {
      *wake = std::min(*wake, at);
      continue;
    }
    intend(last->person, last->channel, tries, (ProviderByName(last->provider) + 1) % dependencies_.providers.size());
  }
  return events;
}

std::vector<std::string> Notification::PeopleOfStep(const FileEntry& file, const domain::SchoolState& school, const domain::AlertState& alert,
                                                    const domain::LadderStep& step, absl::Time now) {
  // A plan is asked for when something changed and again when its batch is formed, a moment later.
  Work& work = work_[&file];
  std::string name = absl::StrCat(alert.alert_id, "/", alert.round, "/", alert.step, "/", file.state.version, "/", school.version);
  const absl::Time real = machine_->clock()->NowReal();
  if (work.resolved_step != name || real - work.resolved_time > kResolvedFor || real < work.resolved_time) {
    work.resolved = domain::ResolveStep(file.pack(), school, file.state, alert, step, now).reachable;
    work.resolved_step = std::move(name);
    work.resolved_time = real;
  }
  if (!work.resolved.empty()) return work.resolved;
  // Nobody: the ladder climbs, or tries again in a while.
  work.resolved_step.clear();
  ForgetIfDone(&file);
  return {};
}

// InfiniteFuture: it was not refused.
absl::Time Notification::RetryTime(const FileEntry& file, const domain::AttemptState& last, int tries, absl::Time now) const {
  absl::Time refused = absl::InfinitePast();
  if (Planted("refusal-is-final")) return absl::InfiniteFuture();
  if (last.event == AttemptEventState::kNotReached) {
    const auto attempt = attempts_.find(last.attempt_id);
    if (attempt == attempts_.end() || !attempt->second.Has(AttemptEvent::kRefused)) return absl::InfiniteFuture();
    refused = last.event_time;
  } else if (last.event == AttemptEventState::kIntended) {
    const auto work = work_.find(&file);
    if (work == work_.end()) return absl::InfiniteFuture();
    const auto told = std::find_if(work->second.progress.begin(), work->second.progress.end(), [&](const Progress& progress) {
      return progress.event == AttemptEvent::kRefused && progress.attempt_id == last.attempt_id;
    });
    if (told == work->second.progress.end()) return absl::InfiniteFuture();
    refused = now;
  } else {
    return absl::InfiniteFuture();
  }
  const int rounds = tries / static_cast<int>(dependencies_.providers.size());
  if (rounds == 0) return now;  // somebody has not been asked yet
  return refused + std::min(kFirstRetry * (1 << std::min(rounds - 1, 10)), kLongestRetry) * machine_->clock()->Speed();
}

std::size_t Notification::PreferredProvider() const {
  const absl::Time real = machine_->clock()->NowReal();
  for (std::size_t i = 0; i < health_.size(); ++i) {
    if (health_[i].failures < kFailuresOfSickProvider || health_[i].probe_at <= real) return i;
  }
  return 0;
}

std::size_t Notification::ProviderByName(std::string_view name) const {
  for (std::size_t i = 0; i < dependencies_.providers.size(); ++i) {
    if (dependencies_.providers[i]->name() == name) return i;
  }
  return 0;
}

// ------------------------------------------------------------------------------------------------ reading

void Notification::OnCommit(const AppliedCommit& applied) {
  if (applied.file == nullptr) {
    if (emergency_list_ != nullptr) emergency_list_->Note(applied);
    for (const domain::Event& event : applied.commit.events) {
      if (const auto* change = std::get_if<domain::DirectoryChanged>(&event.body)) contacts_.Note(applied.commit.school, *change);
    }
    return;
  }
  if (applied.commit.source != kSource || !applied.applied.guard.ok()) return;
  bool placed = false;
  for (const domain::Event& event : applied.commit.events) {
    if (const auto* intended = std::get_if<domain::AttemptIntended>(&event.body)) {
      Index(applied.file, *intended);
      if (!caught_up_) continue;
      Enqueue(intended->attempt_id);
      placed = true;
    } else if (const auto* progressed = std::get_if<domain::AttemptProgressed>(&event.body)) {
      Settle(applied.file, *progressed);
    }
  }
  if (placed) {
    // Who was to be rung stands in the log now.
    if (const auto work = work_.find(applied.file); work != work_.end()) {
      work->second.resolved.clear();
      work->second.resolved_step.clear();
    }
    Dispatch();
  }
  ForgetIfDone(applied.file);
  Prune();
}

std::string Notification::SaveTables(int partition) {
  state::v1::SnapshotContacts saved;
  for (ContactBook::SealedContact& contact : contacts_.Sealed()) {
    if (PartitionOf(contact.school) != partition) continue;
    state::v1::SnapshotContact& added = *saved.add_contacts();
    added.set_school(std::move(contact.school));
    added.set_person(std::move(contact.person));
    added.set_subject(std::move(contact.subject));
    added.set_sealed(std::move(contact.sealed));
  }
  return saved.SerializeAsString();
}

absl::Status Notification::LoadTables(int /*partition*/, std::string_view tables) {
  state::v1::SnapshotContacts saved;
  if (!saved.ParseFromArray(tables.data(), static_cast<int>(tables.size()))) return absl::DataLossError("contacts do not parse");
  for (const state::v1::SnapshotContact& contact : saved.contacts()) {
    contacts_.Put({.school = contact.school(), .person = contact.person(), .subject = contact.subject(), .sealed = contact.sealed()});
  }
  return absl::OkStatus();
}

void Notification::OnCaughtUp() {
  caught_up_ = true;
  // What was intended and not asked of the provider as far as is known: asked again, under the same id.
  for (const auto& [id, entry] : machine_->files()) {
    if (!entry.state.current) continue;
    FileEntry* file = machine_->FindFile(id);
    for (const domain::AlertState& alert : entry.state.current->alerts) {
      for (const domain::AttemptState& attempt : alert.attempts) {
        Index(file, attempt);
        if (attempt.event == AttemptEventState::kIntended && !Planted("calls-cut-off-are-not-made-again")) Enqueue(attempt.attempt_id);
      }
    }
  }
  Dispatch();
}

void Notification::Index(FileEntry* file, const domain::AttemptIntended& intended) {
  IndexAs(file, intended.attempt_id, intended.alert_id, intended.person, intended.channel, intended.provider);
}

void Notification::Index(FileEntry* file, const domain::AttemptState& state) {
  if (!attempts_.contains(state.attempt_id)) IndexAs(file, state.attempt_id, state.alert_id, state.person, state.channel, state.provider);
}

Notification::Attempt& Notification::IndexAs(FileEntry* file, const std::string& attempt_id, const std::string& alert_id,
                                             const std::string& person, std::string_view channel, std::string_view provider) {
  Attempt& attempt = attempts_[attempt_id];
  attempt.file = file;
  attempt.alert_id = alert_id;
  attempt.person = person;
  attempt.channel = channel == kCallChannel ? Channel::kCall : Channel::kMessage;
  attempt.provider = static_cast<std::uint8_t>(ProviderByName(provider));
  auto [it, is_new] = alerts_.try_emplace(alert_id);
  Alert& alert = it->second;
  if (is_new) {
    alert.file = file;
    if (file->state.current) {
      alert.case_id = file->state.current->case_id;
      alert.code_key = CodeKey(file->state.school, file->state.current->code);
      alerts_by_code_.emplace(alert.code_key, alert_id);
    }
    forget_.emplace_back(machine_->Now() + kAttemptKeptAfterClosing, alert_id);
  }
  alert.attempts.push_back(attempt_id);
  if (alert.attempts.size() > kMostAttemptsOfAlert) {
    attempts_.erase(alert.attempts.front());
    alert.attempts.erase(alert.attempts.begin());
  }
  return attempt;
}

// A few at a time, whenever something was read.
void Notification::Prune() {
  const absl::Time now = machine_->Now();
  for (int i = 0; i < 4 && !forget_.empty() && forget_.front().first <= now; ++i) {
    const std::string alert_id = std::move(forget_.front().second);
    forget_.pop_front();
    const auto it = alerts_.find(alert_id);
    if (it == alerts_.end()) continue;
    const domain::FileState& file = it->second.file->state;
    const domain::AlertState* alert = domain::FindAlert(file, alert_id);
    absl::Time keep_until = absl::InfinitePast();
    if (alert != nullptr && alert->phase != AlertPhase::kClosed) {
      keep_until = now + kAttemptKeptAfterClosing;
    } else if (alert != nullptr && domain::IsSet(alert->closed_time)) {
      keep_until = alert->closed_time + kAttemptKeptAfterClosing;
    }
    if (keep_until > now) {
      // Almost in order, which is all that is needed.
      forget_.emplace_back(std::max(keep_until, forget_.empty() ? keep_until : forget_.back().first), alert_id);
      continue;
    }
    for (const std::string& attempt : it->second.attempts) attempts_.erase(attempt);
    const auto [begin, end] = alerts_by_code_.equal_range(it->second.code_key);
    const auto named = std::find_if(begin, end, [&](const auto& entry) { return entry.second == alert_id; });
    if (named != end) alerts_by_code_.erase(named);
    alerts_.erase(it);
  }
}

// ------------------------------------------------------------------------------------------------ asking providers

void Notification::Enqueue(const std::string& attempt_id) {
  const auto it = attempts_.find(attempt_id);
  if (it == attempts_.end()) return;
  const Attempt& attempt = it->second;
  const domain::AlertState* state = domain::FindAlert(attempt.file->state, attempt.alert_id);
  const domain::LadderRow* ladder = state == nullptr ? nullptr : attempt.file->pack().FindLadder(state->ladder);
  int rank = ladder == nullptr ? 0 : ladder->priority;
  if (attempt.channel == Channel::kCall) {
    Alert& alert = alerts_[attempt.alert_id];
    rank += alert.called || state == nullptr || state->attempted ? kCallRank : kFirstCallRank;
    alert.called = true;
  }
  queue_[rank].push_back(attempt_id);
  ++work_[attempt.file].requests;
}

void Notification::Dispatch() {
  while (!queue_.empty()) {
    const auto it = queue_.begin();
    const bool first_call = it->first >= kFirstCallRank;
    if (!first_call && under_way_ >= kMaxRequestsUnderWay) return;
    const std::string attempt_id = std::move(it->second.front());
    it->second.pop_front();
    if (it->second.empty()) queue_.erase(it);
    const auto attempt = attempts_.find(attempt_id);
    if (attempt == attempts_.end()) continue;
    Ask(attempt_id, attempt->second, first_call);
  }
}

void Notification::Ask(const std::string& attempt_id, Attempt& attempt, bool first_call) {
  const auto not_asked = [&](AttemptEvent event) {
    FileEntry* const file = attempt.file;
    --work_[file].requests;
    AddProgress(attempt_id, attempt, event, machine_->Now(), nullptr);
    LookAgain(file);
  };
  const domain::FileState& file = attempt.file->state;
  const domain::AlertState* alert = domain::FindAlert(file, attempt.alert_id);
  // It was taken or closed, or the person was taken off the matter, while this waited its turn.
  if (alert == nullptr || (alert->phase != AlertPhase::kOpen && !Planted("rings-what-was-taken")) || IsRecused(file, attempt.person)) return not_asked(AttemptEvent::kDropped);
  const domain::AttemptState* state = FindAttempt(*alert, attempt_id);
  const domain::Pack& pack = attempt.file->pack();
  const domain::LadderRow* ladder = pack.FindLadder(alert->ladder);
  if (ladder == nullptr) return not_asked(AttemptEvent::kDropped);

  const domain::SchoolState& school = machine_->SchoolFor(file.school);
  const absl::StatusOr<const Contact*> found = contacts_.Find(file.school, attempt.person);
  if (!found.ok() && absl::IsUnavailable(found.status())) return not_asked(AttemptEvent::kRefused);
  if (!found.ok() || (*found)->phone.reveal().empty()) {
    log::Warn("a person of a ladder has no number that can be read", {{"attempt", log::Id(attempt_id)}, {"reason", found.status()}});
    return not_asked(AttemptEvent::kFailed);
  }
  const Secret<std::string> phone = (*found)->phone;
  const std::string wanted = !(*found)->language.empty() ? (*found)->language : school.language;

  const std::string& key = attempt.channel == Channel::kCall ? ladder->call_text : ladder->sms_text;
  const auto text = pack.texts.find(key);
  std::string_view language;
  const std::string_view words = text == pack.texts.end() ? std::string_view("{school} {code} {phone}") : ChooseLanguage(text->second.text, wanted, &language);
  const std::string time = TimeText(TimeOfAlert(pack, file, *alert), machine_->Now(), language);
  TextValues values{.school = school.school_name, .code = file.current->code, .time = time, .phone = school.duty_phone};
  // Who is in charge: who took the matter; nobody yet: the school itself.
  Secret<std::string> person(school.school_name);
  if (words.find("{person}") != std::string_view::npos && !file.current->taken_by.empty()) {
    const absl::StatusOr<const Contact*> taker = contacts_.Find(file.school, file.current->taken_by);
    if (taker.ok() && !(*taker)->name.reveal().empty()) person = (*taker)->name;
  }
  values.person = person.reveal();
  if (const auto& custody = file.current->custody; custody) {
    values.place = !custody->planned.empty() ? custody->planned.front().place : custody->place;
  }
  if (values.place.empty()) values.place = values.school;

  const std::size_t index = state == nullptr ? attempt.provider : ProviderByName(state->provider);
  ProviderHealth& health = health_[index];
  if (health.failures >= kFailuresOfSickProvider) health.probe_at = machine_->clock()->NowReal() + kProbeEvery;
  ++under_way_;
  Provider::Done done = [mailbox = mailbox_, attempt_id, index](absl::Status status) {
    const std::lock_guard lock(mailbox->mutex);
    if (mailbox->owner == nullptr) return;
    mailbox->answers.push_back({attempt_id, index, std::move(status)});
    if (std::exchange(mailbox->posted, true)) return;
    Notification* const owner = mailbox->owner;
    owner->machine_->loop()->Post([owner] { owner->OnAnswers(); });
  };
  CountFirstAttempt(attempt, *alert);
  if (attempt.channel == Channel::kMessage) {
    dependencies_.providers[index]->PlaceMessage({.id = attempt_id, .to = phone, .text = Render(words, values)}, std::move(done));
    return;
  }
  CallOrder order{.id = attempt_id, .to = phone, .language = std::string(language), .text = Render(words, values), .gather = ladder->takeable};
  order.urgent = first_call;
  if (ladder->bridges) {
    if (const std::string reporter = ReporterOf(file, *alert); !reporter.empty() && reporter != attempt.person) {
      if (const auto other = contacts_.Find(file.school, reporter); other.ok()) order.bridge_to = (*other)->phone;
    }
  }
  dependencies_.providers[index]->PlaceCall(order, std::move(done));
}

// Once a trigger: from the acceptance of its report to now, when the first request leaves.
void Notification::CountFirstAttempt(const Attempt& attempt, const domain::AlertState& alert) {
  const auto entry = alerts_.find(attempt.alert_id);
  if (entry == alerts_.end() || std::exchange(entry->second.counted, true) || alert.attempted || !alert.clock_id.empty()) return;
  const domain::ReportState* report = TriggeringReport(attempt.file->state, alert);
  if (report == nullptr) return;
  first_attempt_.Observe((machine_->Now() - report->recorded_time) / machine_->clock()->Speed());
}

void Notification::OnAnswers() {
  std::vector<ProviderAnswer> answers;
  {
    const std::lock_guard lock(mailbox_->mutex);
    answers.swap(mailbox_->answers);
    mailbox_->posted = false;
  }
  std::vector<FileEntry*> files;
  for (const ProviderAnswer& answer : answers) {
    --under_way_;
    ProviderHealth& health = health_[answer.provider];
    const bool bad_order = absl::IsInvalidArgument(answer.status);
    const log::Id name(dependencies_.providers[answer.provider]->name());
    if (answer.status.ok()) {
      if (health.failures >= kFailuresOfSickProvider) log::Info("a provider takes orders again", {{"provider", name}});
      health.failures = 0;
    } else if (bad_order) {
      log::Warn("a provider will not take an order", {{"provider", name}, {"attempt", log::Id(answer.attempt_id)}, {"reason", answer.status}});
    } else if (++health.failures == kFailuresOfSickProvider) {
      log::Error("a provider takes no orders; another goes first where there is one", {{"provider", name}, {"reason", answer.status}});
    }
    const auto it = attempts_.find(answer.attempt_id);
    if (it == attempts_.end()) continue;
    --work_[it->second.file].requests;
    // An order that no provider will ever take is a number that does not work: not reached, and the ladder goes on.
    const AttemptEvent event = answer.status.ok() ? AttemptEvent::kSent : bad_order ? AttemptEvent::kFailed : AttemptEvent::kRefused;
    AddProgress(answer.attempt_id, it->second, event, machine_->Now(), nullptr);
    files.push_back(it->second.file);
  }
  // Each once, in the order of the answers: an order of addresses would be another one in each process.
  for (auto file = files.begin(); file != files.end(); ++file) {
    if (std::find(files.begin(), file, *file) == file) LookAgain(*file);
  }
  Dispatch();
}

// ------------------------------------------------------------------------------------------------ recording

void Notification::AddProgress(const std::string& attempt_id, Attempt& attempt, AttemptEvent event, absl::Time event_time, Reply reply) {
  Work& work = work_[attempt.file];
  if (work.progress.empty()) work.since = machine_->clock()->NowReal();
  if (reply) ++unwritten_receipts_;
  work.progress.push_back({attempt_id, event, event_time, std::move(reply)});
  Count(attempt, event);
}

void Notification::Count(const Attempt& attempt, AttemptEvent event) {
  if (dependencies_.metrics == nullptr) return;
  const auto [it, is_new] = counters_.try_emplace({attempt.provider, attempt.channel, event});
  if (is_new) {
    it->second = dependencies_.metrics->Get(metrics::kNoticeAttempts,
                                            {dependencies_.providers[attempt.provider]->name(),
                                             attempt.channel == Channel::kCall ? kCallChannel : kMessageChannel, NameOf(event)});
  }
  it->second.Increment();
}

void Notification::Settle(FileEntry* file, const domain::AttemptProgressed& progressed) {
  if (const auto it = attempts_.find(progressed.attempt_id); it != attempts_.end()) {
    it->second.seen |= 1U << static_cast<unsigned>(progressed.event);
  }
  const auto work = work_.find(file);
  if (work == work_.end()) return;
  auto& waiting = work->second.progress;
  const auto it = std::find_if(waiting.begin(), waiting.end(), [&](const Progress& progress) {
    return progress.event == progressed.event && progress.attempt_id == progressed.attempt_id;
  });
  if (it == waiting.end()) return;
  const Reply reply = std::move(it->reply);
  waiting.erase(it);
  if (!reply) return;
  --unwritten_receipts_;
  reply(absl::OkStatus());
}

void Notification::ForgetIfDone(const FileEntry* file) {
  const auto work = work_.find(file);
  if (work != work_.end() && work->second.progress.empty() && work->second.requests == 0 && work->second.resolved_step.empty()) work_.erase(work);
}

// A plan that waits for its batch, or for one on its way, is asked for again by itself.
void Notification::LookAgain(FileEntry* file) {
  if (!file->ready && !file->in_flight) machine_->Replan(*file);
}

absl::Time Notification::DomainTime(absl::Time real) const {
  const absl::Duration ago = machine_->clock()->NowReal() - real;
  return ago > absl::ZeroDuration() ? machine_->Now() - ago * machine_->clock()->Speed() : machine_->Now();
}

void Notification::ReceiveCallback(std::string_view kind, std::string_view body, Reply reply) {
  const json parsed = json::parse(body, nullptr, false);
  const auto field = [&](const char* name) {
    const auto value = parsed.find(name);
    return value != parsed.end() && value->is_string() ? value->get<std::string>() : std::string();
  };
  if (!parsed.is_object() || field("id").empty() || field("event").empty()) {
    return reply(absl::InvalidArgumentError("a callback is an object with id and event"));
  }
  const std::optional<AttemptEvent> event = EventOf(field("event"));
  if (!event) {
    // A word that the provider has added does not stop what we do understand.
    unknown_callbacks_.Increment();
    return reply(absl::OkStatus());
  }
  Callback callback{.kind = std::string(kind), .id = field("id"), .event = *event, .digits = field("digits"), .text = field("text")};
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, field("time"), &time, nullptr)) callback.real_time = time;
  machine_->loop()->Post([this, callback = std::move(callback), reply = std::move(reply)]() mutable {
    OnCallback(std::move(callback), std::move(reply));
  });
}

void Notification::OnCallback(Callback callback, Reply reply) {
  if (!caught_up_) return reply(absl::UnavailableError("still reading the log"));
  const auto it = attempts_.find(callback.id);
  const Channel channel = callback.kind == kCallChannel ? Channel::kCall : Channel::kMessage;
  if (it == attempts_.end() || it->second.channel != channel) {
    unknown_callbacks_.Increment();
    return reply(absl::OkStatus());
  }
  Attempt& attempt = it->second;
  const absl::Time event_time = DomainTime(callback.real_time);
  if (callback.event == AttemptEvent::kDigits) {
    if (callback.digits == "1" || Planted("any-key-takes")) return TakeOrRecord(callback.id, AttemptEvent::kDigits, "keypress", event_time, std::move(reply));
    if (callback.digits == "2") callback.event = AttemptEvent::kDeclined;
  } else if (callback.event == AttemptEvent::kReplied) {
    const std::string folded = FoldReply(callback.text);
    if (const std::string answered = AttemptOfReply(callback.id, attempt, folded); !answered.empty()) {
      return TakeOrRecord(answered, AttemptEvent::kReplied, "reply", event_time, std::move(reply));
    }
    if (folded == "STOP" || folded == "T" || folded.starts_with("退订")) {
      log::Warn("somebody asked for no more messages; duty calls go on, and an administrator should talk to them", {{"attempt", log::Id(callback.id)}});
    }
  } else if (callback.event == AttemptEvent::kBridged && !attempt.Has(AttemptEvent::kBridged)) {
    return RecordSpoken(callback.id, event_time, std::move(reply));
  }
  if (Planted("receipt-acknowledged-and-lost")) return reply(absl::OkStatus());
  // Told again, as the answer to the first time was lost.
  if (attempt.Has(callback.event)) return reply(absl::OkStatus());
  if (unwritten_receipts_ >= kMaxUnwrittenReceipts) return reply(absl::UnavailableError("too many receipts wait for the log"));
  AddProgress(callback.id, attempt, callback.event, event_time, std::move(reply));
  LookAgain(attempt.file);
}

std::string Notification::AttemptOfReply(const std::string& attempt_id, const Attempt& attempt, std::string_view text) const {
  if (text.size() < 2 || text.back() != '1') return "";
  const auto [begin, end] = alerts_by_code_.equal_range(CodeKey(attempt.file->state.school, text.substr(0, text.size() - 1)));
  std::string found;
  std::string own;
  absl::Time raised = absl::InfinitePast();
  for (auto it = begin; it != end; ++it) {
    const auto alert = alerts_.find(it->second);
    if (alert == alerts_.end()) continue;
    const domain::AlertState* state = domain::FindAlert(alert->second.file->state, it->second);
    const domain::LadderRow* ladder = state == nullptr ? nullptr : alert->second.file->pack().FindLadder(state->ladder);
    const bool waits = ladder != nullptr && ladder->takeable && state->phase == AlertPhase::kOpen;
    if (it->second == attempt.alert_id) {
      if (waits) return attempt_id;
      own = attempt_id;
      continue;
    }
    // A provider that knows only the number says it of the last message it carried there; the code says which matter is meant.
    const auto& asked = alert->second.attempts;
    const auto theirs = std::find_if(asked.rbegin(), asked.rend(), [&](const std::string& id) {
      const auto other = attempts_.find(id);
      return other != attempts_.end() && other->second.person == attempt.person && other->second.channel == attempt.channel;
    });
    if (!waits || theirs == asked.rend() || state->raised_time < raised) continue;
    raised = state->raised_time;
    found = *theirs;
  }
  // The last message may have been a notice of the same matter, which nobody takes, or of an alert that is settled.
  return found.empty() ? own : found;
}

void Notification::TakeOrRecord(const std::string& attempt_id, AttemptEvent event, std::string_view how, absl::Time event_time, Reply reply) {
  const Attempt& attempt = attempts_.at(attempt_id);
  FileEntry* const file = attempt.file;
  const domain::AlertState* now = domain::FindAlert(file->state, attempt.alert_id);
  if (attempt.Has(event) && (now == nullptr || now->phase != AlertPhase::kOpen)) return reply(absl::OkStatus());  // told again
  Count(attempt, event);
  machine_->SubmitHere(
      file->partition, kPersonPriority,
      [this, file, person = attempt.person, attempt_id, alert_id = attempt.alert_id, event, how, event_time]() -> absl::StatusOr<Draft> {
        // One answer takes one alert, the one that was asked about; where that was taken or settled meanwhile, nothing.
        const domain::AlertState* alert = domain::FindAlert(file->state, alert_id);
        const domain::LadderRow* ladder = alert == nullptr ? nullptr : file->pack().FindLadder(alert->ladder);
        const bool takes = ladder != nullptr && ladder->takeable && alert->phase == AlertPhase::kOpen && !IsRecused(file->state, person);
        Draft draft = NewDraft(*file, absl::StrCat(absl::string_view(how.data(), how.size()), "/", attempt_id, "/", file->state.version));
        draft.actor = {.person = person};
        const domain::SchoolState& school = machine_->SchoolFor(file->state.school);
        if (const auto found = school.people.find(person); found != school.people.end() && !found->second.roles.empty()) {
          draft.actor.role = found->second.roles.front();
        }
        if (takes) {
          draft.events.push_back(domain::Event{
              domain::AlertTaken{.alert_id = alert_id, .person = person, .how = std::string(how), .attempt_id = attempt_id}});
        }
        draft.events.push_back(domain::Event{domain::AttemptProgressed{.attempt_id = attempt_id, .event = event, .event_time = event_time}});
        return draft;
      },
      [reply = std::move(reply)](const absl::StatusOr<Machine::Outcome>& outcome) { reply(outcome.status()); });
}

void Notification::RecordSpoken(const std::string& attempt_id, absl::Time event_time, Reply reply) {
  const Attempt& attempt = attempts_.at(attempt_id);
  FileEntry* const file = attempt.file;
  Count(attempt, AttemptEvent::kBridged);
  machine_->SubmitHere(
      file->partition, kPersonPriority,
      [this, file, attempt_id, alert_id = attempt.alert_id, case_id = alerts_[attempt.alert_id].case_id, person = attempt.person,
       event_time]() -> absl::StatusOr<Draft> {
        Draft draft = NewDraft(*file, absl::StrCat("bridged/", attempt_id, "/", file->state.version));
        const domain::AlertState* state = domain::FindAlert(file->state, alert_id);
        const domain::LadderRow* ladder = state == nullptr ? nullptr : file->pack().FindLadder(state->ladder);
        const bool bridges = ladder != nullptr && ladder->bridges && domain::HasOpenCase(file->state) && file->state.current->case_id == case_id;
        if (bridges) {
          draft.events.push_back(domain::Event{domain::Spoken{
              .superior = person, .reporter = ReporterOf(file->state, *state), .spoken_time = event_time, .how = "bridged"}});
        }
        draft.events.push_back(
            domain::Event{domain::AttemptProgressed{.attempt_id = attempt_id, .event = AttemptEvent::kBridged, .event_time = event_time}});
        return draft;
      },
      [reply = std::move(reply)](const absl::StatusOr<Machine::Outcome>& outcome) { reply(outcome.status()); });
}

}  // namespace vigil::notification
