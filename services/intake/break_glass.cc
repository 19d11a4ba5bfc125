#include "intake/break_glass.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "platform/crypto/derive.h"
#include "platform/logging/log.h"

namespace vigil::intake {
namespace {

using nlohmann::json;

constexpr absl::Duration kTickInterval = absl::Milliseconds(250);
// Keypresses on older calls than these many are no longer understood.
constexpr std::size_t kMostCallsKnown = 50'000;
constexpr std::size_t kMostRecords = 100'000;
// A round's row is "rung/<round>/<matter>".
constexpr std::string_view kRungPrefix = "rung/";
constexpr std::string_view kTakenPrefix = "taken/";
// How often whoever is told of records is told anyway, to look after what it could not record.
constexpr int kTicksBetweenTellings = 8;

json ToJson(const BreakGlassRecord& record) {
  return {{"report", record.report_id}, {"alert", record.alert_id}, {"school", record.school}, {"time", absl::ToUnixMicros(record.real_time)},
          {"people", record.people},    {"by", record.by},          {"taken_by", record.taken_by}};
}

BreakGlassRecord FromJson(const std::string& id, const json& row) {
  return {.id = id,
          .report_id = row.value("report", ""),
          .alert_id = row.value("alert", ""),
          .school = row.value("school", ""),
          .real_time = absl::FromUnixMicros(row.value("time", std::int64_t{0})),
          .people = row.value("people", std::vector<std::string>()),
          .by = row.value("by", ""),
          .taken_by = row.value("taken_by", "")};
}

// A row's id ends in its matter's key, behind "taken/" or "rung/<round>/".
std::string KeyOf(const BreakGlassRecord& record) {
  if (record.id.starts_with(kTakenPrefix)) return record.id.substr(kTakenPrefix.size());
  const std::size_t slash = record.id.find('/', kRungPrefix.size());
  return slash == std::string::npos ? "" : record.id.substr(slash + 1);
}

}  // namespace

BreakGlass::BreakGlass(BreakGlassOptions options) : options_(std::move(options)), watch_(options_.every) { Restore(); }

BreakGlass::~BreakGlass() { Stop(); }

// Only ids are in these rows: nothing of a person needs to be sealed.
void BreakGlass::Restore() {
  const absl::Status read = options_.records->ForEach([this](const OutboxRow& row) {
    const json parsed = json::parse(row.bytes, nullptr, false);
    if (!parsed.is_object()) return true;
    BreakGlassRecord record = FromJson(row.id, parsed);
    if (!record.taken_by.empty()) taken_[KeyOf(record)] = record.taken_by;
    // Who was rung a moment before we died may press the key now.
    const std::size_t prefix = kRungPrefix.size();
    const std::size_t slash = row.id.find('/', prefix);
    if (row.id.starts_with(kRungPrefix) && slash != std::string::npos) {
      const std::string ring = row.id.substr(prefix, slash - prefix);
      for (const std::string& person : record.people) {
        const std::string id = break_glass::CallId(ring, person);
        Placed& placed = calls_[id];
        if (placed.matters.empty()) call_order_.push_back(id);
        placed.person = person;
        placed.matters.push_back({.key = KeyOf(record), .report_id = record.report_id, .alert_id = record.alert_id, .school = record.school, .code = ""});
      }
    }
    unrecorded_.push_back(std::move(record));
    return true;
  });
  if (!read.ok()) log::Error("the records of break-glass cannot be read", {{"reason", read}});
}

void BreakGlass::Begin(Matter matter, absl::Time since) {
  const std::lock_guard lock(mutex_);
  if (taken_.contains(matter.key)) return;
  watch_.Begin(std::move(matter), since);
}

void BreakGlass::End(const std::string& key) {
  const std::lock_guard lock(mutex_);
  watch_.End(key);
}

bool BreakGlass::Waits(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  return watch_.Waits(key);
}

void BreakGlass::Tick() {
  const absl::Time now = options_.clock->NowReal();
  std::vector<std::shared_ptr<const Ring>> rings;
  {
    const std::lock_guard lock(mutex_);
    for (BreakGlassWatch::Round& round : watch_.Due(now)) {
      auto ring = std::make_shared<Ring>();
      ring->id = DeriveId('b', {round.school, round.matters.front().key, absl::StrCat(absl::ToUnixMicros(now))});
      ring->time = now;
      ring->order.school = round.school;
      for (const Matter& matter : round.matters) {
        if (ring->order.codes.size() < kMostCodesOfCall && !matter.code.empty()) ring->order.codes.push_back(matter.code);
      }
      ring->matters = std::move(round.matters);
      if (const auto school = options_.list->Find(round.school)) {
        for (const break_glass::ListedPerson& person : school->people) {
          const std::string id = break_glass::CallId(ring->id, person.person);
          ring->order.calls.push_back({id, person.person});
          // Known before it rings: a keypress may be quicker than the answer to our asking.
          calls_[id] = {person.person, ring->matters};
          call_order_.push_back(id);
        }
      }
      while (call_order_.size() > kMostCallsKnown) {
        calls_.erase(call_order_.front());
        call_order_.pop_front();
      }
      rings.push_back(std::move(ring));
    }
  }
  if (++ticks_ % kTicksBetweenTellings == 0) Tell();
  for (const auto& ring : rings) {
    log::Error("no call was seen for a severe matter in time: ringing the emergency list",
               {{"school", log::Id(ring->order.school)}, {"matters", ring->matters.size()}, {"people", ring->order.calls.size()}});
    Try(ring, 0);
  }
}

void BreakGlass::Try(std::shared_ptr<const Ring> ring, std::size_t arm) {
  if (ring->order.calls.empty() || arm >= options_.arms.size()) {
    log::Error("nobody could be rung from the emergency list; it is tried again soon", {{"school", log::Id(ring->order.school)}});
    const std::lock_guard lock(mutex_);
    return watch_.AgainSoon(ring->matters, options_.clock->NowReal());
  }
  options_.arms[arm].second(ring->order, [this, ring, arm](const absl::StatusOr<std::vector<std::string>>& taken_on) {
    if (taken_on.ok() && !taken_on->empty()) return Rung(*ring, options_.arms[arm].first, *taken_on);
    log::Warn("the emergency list could not be rung this way", {{"way", log::Id(options_.arms[arm].first)}, {"reason", taken_on.status()}});
    Try(ring, arm + 1);
  });
}

void BreakGlass::Rung(const Ring& ring, const std::string& by, const std::vector<std::string>& taken_on) {
  const std::set<std::string> ids(taken_on.begin(), taken_on.end());
  std::vector<std::string> people;
  for (const break_glass::RingOrder::Call& call : ring.order.calls) {
    if (ids.contains(call.id)) people.push_back(call.person);
  }
  std::vector<BreakGlassRecord> records;
  for (const Matter& matter : ring.matters) {
    records.push_back({.id = absl::StrCat(absl::string_view(kRungPrefix.data(), kRungPrefix.size()), ring.id, "/", matter.key),
          .report_id = matter.report_id,
          .alert_id = matter.alert_id,
          .school = matter.school,
          .real_time = ring.time,
          .people = people,
          .by = by,
          .taken_by = ""});
  }
  Keep(std::move(records));
}

absl::Status BreakGlass::ReceiveCallback(std::string_view body) {
  const json parsed = json::parse(body, nullptr, false);
  const auto field = [&](const char* name) {
    const auto value = parsed.find(name);
    return value != parsed.end() && value->is_string() ? value->get<std::string>() : std::string();
  };
  if (!parsed.is_object() || field("id").empty() || field("event").empty()) {
    return absl::InvalidArgumentError("a callback is an object with id and event");
  }
  if (field("event") != "digits" || field("digits") != "1") return absl::OkStatus();
  std::vector<BreakGlassRecord> records;
  {
    const std::lock_guard lock(mutex_);
    const auto call = calls_.find(field("id"));
    if (call == calls_.end()) return absl::OkStatus();
    for (const Matter& matter : call->second.matters) {
      watch_.End(matter.key);
      // Pressed again, or by somebody else: the first has it.
      if (!taken_.emplace(matter.key, call->second.person).second) continue;
      records.push_back({.id = absl::StrCat(absl::string_view(kTakenPrefix.data(), kTakenPrefix.size()), matter.key),
                         .report_id = matter.report_id,
                         .alert_id = matter.alert_id,
                         .school = matter.school,
                         .real_time = options_.clock->NowReal(),
                         .people = {},
                         .by = "",
                         .taken_by = call->second.person});
    }
  }
  for (const BreakGlassRecord& record : records) log::Warn("a matter was taken from the emergency list", {{"school", log::Id(record.school)}});
  if (!records.empty()) Keep(std::move(records));
  return absl::OkStatus();
}

// Ringing does not wait for the disk, nor for the log: what could not be kept is only in memory.
void BreakGlass::Keep(std::vector<BreakGlassRecord> records) {
  std::vector<OutboxRow> rows;
  for (const BreakGlassRecord& record : records) rows.push_back({.id = record.id, .partition = 0, .bytes = ToJson(record).dump()});
  {
    const std::lock_guard lock(mutex_);
    if (unrecorded_.size() >= kMostRecords) return;
    std::move(records.begin(), records.end(), std::back_inserter(unrecorded_));
  }
  if (absl::Status kept = options_.records->PutMany(rows); !kept.ok()) log::Error("records of break-glass are in memory only", {{"reason", kept}});
  Tell();
}

void BreakGlass::Tell() {
  std::function<void()> tell;
  {
    const std::lock_guard lock(mutex_);
    tell = tell_;
  }
  if (tell) tell();
}

std::vector<BreakGlassRecord> BreakGlass::Unrecorded() const {
  const std::lock_guard lock(mutex_);
  return {unrecorded_.begin(), unrecorded_.end()};
}

void BreakGlass::Recorded(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(unrecorded_, [&](const BreakGlassRecord& record) { return record.id == id; });
  }
  if (absl::Status removed = options_.records->Remove(std::span(&id, 1)); !removed.ok()) {
    log::Warn("a record of break-glass stays for now", {{"reason", removed}});
  }
}

void BreakGlass::OnRecord(std::function<void()> tell) {
  const std::lock_guard lock(mutex_);
  tell_ = std::move(tell);
}

void BreakGlass::Start() {
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, absl::ToChronoNanoseconds(kTickInterval), [this] { return stopping_; })) {
      lock.unlock();
      Tick();
      lock.lock();
    }
  });
}

void BreakGlass::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    tell_ = nullptr;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace vigil::intake
