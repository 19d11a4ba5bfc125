#include "notification/break_glass/ringer.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "absl/strings/str_join.h"
#include "notification/texts.h"
#include "platform/crypto/derive.h"
#include "platform/metrics/metric_names.h"

namespace vigil::break_glass {

std::string CallId(const std::string& round, const std::string& person) { return DeriveId('g', {round, person}); }

struct Ringer::Round {
  std::mutex mutex;
  std::size_t waiting = 0;
  std::vector<std::string> taken;
  absl::Status last;
  Done done;

  void Answered(const std::string& id, const absl::Status& status) {
    Done tell;
    {
      const std::lock_guard lock(mutex);
      if (status.ok()) {
        taken.push_back(id);
      } else {
        last = status;
      }
      if (--waiting > 0) return;
      tell = std::move(done);
    }
    if (taken.empty()) return tell(absl::UnavailableError("no provider took a call"));
    tell(std::move(taken));
  }
};

Ringer::Ringer(const domain::Pack* pack, const EmergencyList* list, std::vector<notification::Provider*> providers, metrics::Registry* registry)
    : pack_(pack), list_(list), providers_(std::move(providers)) {
  if (registry != nullptr) rung_ = registry->Get(metrics::kBreakGlass);
}

void Ringer::Ring(const RingOrder& order, Done done) const {
  const std::optional<ListedSchool> school = list_->Find(order.school);
  const domain::LadderRow* ladder = pack_->EmergencyLadder();
  if (!school || ladder == nullptr) return done(absl::NotFoundError("this school is not on the emergency list"));
  if (providers_.empty()) return done(absl::UnavailableError("there is no provider here"));
  const std::string codes = absl::StrJoin(order.codes, ", ");
  const auto text = pack_->texts.find(ladder->call_text);
  std::vector<notification::CallOrder> orders;
  for (const RingOrder::Call& call : order.calls) {
    const auto person = std::find_if(school->people.begin(), school->people.end(), [&](const ListedPerson& p) { return p.person == call.person; });
    if (person == school->people.end()) continue;
    std::string_view language;
    const std::string_view words = text == pack_->texts.end()
                                       ? std::string_view("{school} {code} {phone}")
                                       : notification::ChooseLanguage(text->second.text, person->language.empty() ? school->language : person->language, &language);
    orders.push_back({.id = call.id,
                      .to = person->phone,
                      .language = std::string(language),
                      .text = notification::Render(words, {.school = school->name, .code = codes, .phone = school->duty_phone}),
                      .gather = true,
                      .bridge_to = {},
                      .urgent = true});
  }
  if (orders.empty()) return done(absl::NotFoundError("none of these people is on the emergency list"));
  rung_.Increment();
  const auto round = std::make_shared<Round>();
  round->waiting = orders.size();
  round->done = std::move(done);
  for (notification::CallOrder& call : orders) Place(round, std::move(call), 0);
}

// By the next provider where one does not take it.
void Ringer::Place(const std::shared_ptr<Round>& round, notification::CallOrder order, std::size_t provider) const {
  const notification::CallOrder& asked = order;
  providers_[provider]->PlaceCall(asked, [this, round, order, provider](const absl::Status& status) {
    const bool hopeless = absl::IsInvalidArgument(status) || absl::IsCancelled(status);
    if (status.ok() || hopeless || provider + 1 >= providers_.size()) return round->Answered(order.id, status);
    Place(round, order, provider + 1);
  });
}

}  // namespace vigil::break_glass
