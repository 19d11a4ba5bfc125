// The same request, the same answer: the templates of Intake, for the files that answer requests.
#pragma once

#include <utility>

#include "domain/planted.h"
#include "intake/intake.h"

namespace vigil::intake {

inline absl::Status UsedWithAnotherBody() { return absl::AlreadyExistsError("this Idempotency-Key was used with another body"); }

template <typename Response>
bool Intake::AnswerAgain(const Caller& caller, const std::string& key, const Reply<Response>& reply) {
  if (dependencies_.answers == nullptr) return false;
  const auto found = dependencies_.answers->Find(key);
  if (!found.ok()) {
    reply(found.status());
  } else if (!*found) {
    return false;
  } else if (Response response; (*found)->body_hash != caller.body_hash && !Planted("same-key-other-body")) {
    reply(UsedWithAnotherBody());
  } else if (!response.ParseFromString((*found)->response)) {
    reply(absl::DataLossError("a stored answer is damaged"));
  } else {
    reply(std::move(response));
  }
  return true;
}

template <typename Response>
void Intake::Once(const Caller& caller, const std::string& key, Reply<Response> reply, std::function<void(Reply<Response>)> start) {
  if (caller.idempotency_key.empty()) return start(std::move(reply));
  if (AnswerAgain(caller, key, reply)) return;
  auto [it, is_new] = under_way_.try_emplace(key);
  if (is_new) {
    it->second.body_hash = caller.body_hash;
  } else if (it->second.body_hash != caller.body_hash) {
    return reply(UsedWithAnotherBody());
  }
  it->second.waiting.push_back([reply = std::move(reply)](const absl::Status& status, const std::string& bytes) {
    if (!status.ok()) return reply(status);
    Response response;
    response.ParseFromString(bytes);
    reply(std::move(response));
  });
  if (!is_new) return;
  start([this, key](absl::StatusOr<Response> response) {
    const auto node = under_way_.extract(key);
    if (node.empty()) return;
    const std::string bytes = response.ok() ? response->SerializeAsString() : "";
    for (const auto& answer : node.mapped().waiting) answer(response.status(), bytes);
  });
}

}  // namespace vigil::intake
