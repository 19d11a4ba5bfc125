#include "audit/summary.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "domain/school_time.h"

namespace vigil::audit {
namespace {

enum Language { kChinese, kEnglish };
constexpr std::array<const char*, 2> kTags = {"zh-CN", "en"};

using Words = std::array<const char*, 2>;

// {name} is a field of the detail as it stands, {actor} who did it, {name|clock} what the pack or we call it, {name|time} school time. What is
// in [brackets] is left out where one of its fields is missing.
const std::unordered_map<std::string_view, Words>& Templates() {
  static const auto& all = *new std::unordered_map<std::string_view, Words>{
      {"installation_opened", {"系统启用[（演练：{rehearsal|word}）]", "installation opened[ (rehearsal: {rehearsal|word})]"}},
      {"log_reopened", {"日志已修复，账本 {ledger_size} 条", "the log was repaired; {ledger_size} leaves in the ledger"}},
      {"commit_quarantined", {"一条记录两次使 {service} 停止，已隔离，需人工处理", "a record that stopped {service} twice is set aside and needs a person"}},
      {"clock_set", {"演练时钟设为 {speed} 倍速", "rehearsal clock set to {speed}×"}},
      {"school_registered", {"学校登记：{school_name}", "school registered: {school_name}"}},
      {"directory_changed", {"人员名册更新[，{people} 人]", "directory changed[, {people} people]"}},
      {"schedule_set", {"值班表更新：{schedule|schedule}", "schedule set: {schedule|schedule}"}},
      {"report_received", {"{actor} 报告[（{channel|word}）][，勾选：{claimed_level|level}]", "{actor} reports[ ({channel|word})][, claiming {claimed_level|level}]"}},
      {"classified", {"规则暂定等级：[{level|level}][，依据 {fired}]", "rules propose: [{level|level}][, by {fired}]"}},
      {"assessed", {"评估定级：{level|level}[（{kind|word}）]", "assessed: {level|level}[ ({kind|word})]"}},
      {"not_severe_decided", {"两名评估人当面签字：未达严重[（{assessors}）]", "two assessors sign, face to face: not severe[ ({assessors})]"}},
      {"report_read", {"{actor} 已阅读报告", "{actor} has read the report"}},
      {"clock_warned", {"时限将到：{kind|clock}", "due soon: {kind|clock}"}},
      {"clock_expired", {"逾期：{kind|clock}[，应于 {due_time|time}]", "overdue: {kind|clock}[, was due {due_time|time}]"}},
      {"clock_reviewed", {"{kind|clock}：第 {review} 次复核", "{kind|clock}: review {review}"}},
      {"discovery_corrected", {"{actor} 更正发现时间为 {discovered_time|time}", "{actor} corrects the discovery to {discovered_time|time}"}},
      {"alert_raised", {"警报：{ladder|ladder}", "alert: {ladder|ladder}"}},
      {"ladder_climbed", {"{reason|word}，警报到第 {round} 轮第 {step|next} 级[：{ladder|ladder}]", "{reason|word}: round {round}, step {step|next}[ of {ladder|ladder}]"}},
      {"alert_taken", {"{person} 接手[：{ladder|ladder}][（{how|word}）]", "{person} takes it[: {ladder|ladder}][ ({how|word})]"}},
      {"attempt_intended", {"准备联系 {person}（{channel|word}）", "about to reach {person} ({channel|word})"}},
      {"attempt_progressed", {"{event|word}[：{person}][（{channel|word}）]", "{event|word}[: {person}][ ({channel|word})]"}},
      {"spoken", {"{superior} 与报告人[ {reporter} ]已通话[（{how|word}）]", "{superior} and the reporter[ {reporter}] have spoken[ ({how|word})]"}},
      {"break_glass_rung", {"系统部分故障，已按应急名单呼叫[：{people}]", "part of the system had failed: the emergency list was rung[: {people}]"}},
      {"break_glass_taken", {"{person} 在应急呼叫中接手", "{person} took it when rung from the emergency list"}},
      {"sight_confirmed", {"{person} 确认看见孩子", "{person} confirms the child in sight"}},
      {"shifts_planned", {"{actor} 排定值守班次[：{shifts}]", "{actor} plans the shifts[: {shifts}]"}},
      {"shift_offered", {"{actor} 请 {to} 接班", "{actor} offers the shift to {to}"}},
      {"shift_accepted", {"{person} 接班", "{person} accepts the shift"}},
      {"checked_in", {"{person} 例行确认[：孩子在视线内 {in_sight|word}]", "{person} checks in[: child in sight {in_sight|word}]"}},
      {"custody_gap_opened", {"值守空档：自 {from_time|time} 起无人确认[（{reason|word}）]", "a gap: nobody has confirmed since {from_time|time}[ ({reason|word})]"}},
      {"custody_gap_closed", {"值守空档结束：{to_time|time}", "the gap has ended: {to_time|time}"}},
      {"custody_accepted", {"孩子由 {holders} 看护", "the child is with {holders}"}},
      {"cover_missing", {"值守人员不齐[：缺 {missing|role}]", "the shift is short of people[: {missing|role}]"}},
      {"cover_complete", {"值守人员已补齐", "the shift is complete again"}},
      {"person_erased", {"有关此人的内容已永久删除", "what was written about a person was erased for good"}},
      {"attachment_stored", {"{actor} 上传附件", "{actor} stores an attachment"}},
      {"return_approved", {"{actor} 批准复学", "{actor} takes the student back at school"}},
      {"supervision_started", {"特别监护开始", "special supervision begins"}},
      {"supervision_ended", {"特别监护结束", "special supervision ends"}},
      {"guardian_contacted", {"联系监护人 {guardian}：{outcome|word}[，约 {arrival_time|time} 到校]", "guardian {guardian} called: {outcome|word}[, arriving {arrival_time|time}]"}},
      {"handed_over_to_guardian", {"{actor} 将孩子移交监护人 {guardian}", "{actor} hands the child over to guardian {guardian}"}},
      {"handed_over_to_authority", {"{actor} 将孩子移交{authority|word}", "{actor} hands the child over to {authority|word}"}},
      {"departure_recorded", {"离校记录：{kind|word}[，陪同 {escorts}]", "departure: {kind|word}[, with {escorts}]"}},
      {"custody_returned", {"孩子在校，由 {person} 看护", "the child is at school again, with {person}"}},
      {"record_filed", {"{actor} 提交：{kind|record}[（迟交：{late|word}）]", "{actor} files: {kind|record}[ (late: {late|word})]"}},
      {"record_acknowledged", {"{actor} 签收：{kind|record}", "{actor} acknowledges: {kind|record}"}},
      {"document_opened", {"文书已打开（{how|word}）", "a document was opened ({how|word})"}},
      {"document_copies_revoked", {"{actor} 收回家长副本", "{actor} withdraws the guardian's copies"}},
      {"roster_fell_short", {"监护小组人数不足：{kind|record}（{counted} 人）", "too few members left: {kind|record} ({counted})"}},
      {"calendar_set", {"{actor} 设定校历", "{actor} sets the school's calendar"}},
      {"school_file_opened", {"学校日常事项开始登记", "the school's own matters are kept from here on"}},
      {"duty_opened", {"定期工作：{duty|duty}[，至 {due_time|time}]", "owed: {duty|duty}[, due {due_time|time}]"}},
      {"duty_late", {"定期工作逾期：{duty|duty}[（{subjects}）]", "late: {duty|duty}[ ({subjects})]"}},
      {"pack_proposed", {"{actor} 提出修改学校方案（{digest}）[，放宽之处：{asks_less}]", "{actor} proposes a change of the school's pack ({digest})[, asking less: {asks_less}]"}},
      {"pack_adopted", {"学校方案 {digest} 生效", "the school's pack {digest} is in force"}},
      {"pack_rejected", {"学校方案 {digest} 未采用", "the school's pack {digest} is not adopted"}},
      {"hold_placed", {"暂缓：{kind|word}", "held: {kind|word}"}},
      {"hold_lifted", {"解除暂缓：{kind|word}", "hold lifted: {kind|word}"}},
      {"recused", {"{person} 回避此事", "{person} is off this matter"}},
      {"student_identified", {"学生身份已核对", "the student was identified"}},
      {"case_joined", {"并入另一份报告的个案", "joined by the case of another report"}},
      {"case_moved", {"个案转到正确的学生名下", "the case goes on under the right student"}},
      {"case_closed", {"{actor} 结案", "{actor} closes the case"}},
      {"clock_started", {"开始计时：{kind|clock}[，至 {due_time|time}]", "clock runs: {kind|clock}[, due {due_time|time}]"}},
      {"clock_met", {"已完成：{kind|clock}[（迟：{late|word}）]", "done: {kind|clock}[ (late: {late|word})]"}},
      {"clock_cancelled", {"不再需要：{kind|clock}", "no longer owed: {kind|clock}"}},
      {"clock_overdue", {"已逾期：{kind|clock}", "now overdue: {kind|clock}"}},
  };
  return all;
}

// The engine's own words in details.
const std::unordered_map<std::string_view, Words>& Vocabulary() {
  static const auto& all = *new std::unordered_map<std::string_view, Words>{
      {"true", {"是", "yes"}},
      {"web", {"网页", "web"}},
      {"phone", {"电话", "phone"}},
      {"sms", {"短信", "SMS"}},
      {"call", {"电话", "call"}},
      {"chat", {"聊天", "chat"}},
      {"email", {"邮件", "e-mail"}},
      {"in_person", {"当面", "in person"}},
      {"paper", {"纸质", "paper"}},
      {"screening", {"筛查", "screening"}},
      {"group", {"评估小组", "group"}},
      {"expert", {"专家", "expert"}},
      {"unanswered", {"无人接手", "nobody took it"}},
      {"nobody_reachable", {"无人可联系", "nobody reachable"}},
      {"declined", {"对方请转下一位", "declined"}},
      {"keypress", {"按键", "keypress"}},
      {"keypad", {"按键", "keypad"}},
      {"reply", {"回复", "reply"}},
      {"sent", {"已拨出", "sent"}},
      {"refused", {"被拒绝", "refused"}},
      {"ringing", {"振铃", "ringing"}},
      {"answered", {"接听", "answered"}},
      {"voicemail", {"语音信箱", "voicemail"}},
      {"no_answer", {"无人接听", "no answer"}},
      {"busy", {"占线", "busy"}},
      {"failed", {"呼叫失败", "failed"}},
      {"delivered", {"已送达", "delivered"}},
      {"undelivered", {"未送达", "undelivered"}},
      {"digits", {"按键", "digits"}},
      {"bridged", {"已接通", "bridged"}},
      {"completed", {"通话结束", "completed"}},
      {"replied", {"已回复", "replied"}},
      {"dropped", {"未拨：已不需要", "dropped: no longer needed"}},
      {"recorded", {"补记", "recorded"}},
      {"unconfirmed", {"尚无人确认", "unconfirmed"}},
      {"check_in_missed", {"未按时确认", "a check-in was missed"}},
      {"departure", {"离校", "departure"}},
      {"cover_missing", {"值守人员不齐", "short of people"}},
      {"not_in_sight", {"不在视线内", "not in sight"}},
      {"reached", {"已联系上", "reached"}},
      {"wrong_number", {"号码有误", "wrong number"}},
      {"police", {"公安", "the police"}},
      {"child_protection", {"儿童保护机构", "child protection"}},
      {"hospital", {"送医", "to hospital"}},
      {"left", {"已离开", "left"}},
      {"taken_away", {"被带离", "taken away"}},
      {"not_found", {"下落不明", "not found"}},
      {"printed", {"校内打印", "printed at school"}},
      {"guardian_copy", {"家长扫码查看副本", "the guardian's copy, by its code"}},
      {"guardians", {"联系监护人", "contact with guardians"}},
      {"visit", {"探视", "a visit"}},
  };
  return all;
}

Language Choose(std::string_view accepted) {
  for (absl::string_view part : absl::StrSplit(absl::string_view(accepted.data(), accepted.size()), ',')) {
    const std::string tag = absl::AsciiStrToLower(absl::StripAsciiWhitespace(part));
    if (tag.starts_with("zh")) return kChinese;
    if (tag.starts_with("en")) return kEnglish;
  }
  return kChinese;
}

std::string NameOf(const domain::Row* row, const std::string& id, Language language) {
  if (row == nullptr) return id;
  const auto text = row->name.find(kTags[language]);
  return text == row->name.end() ? id : text->second;
}

template <typename Rows>
std::string NameIn(const Packs& packs, Rows domain::Pack::*rows, const std::string& id, Language language) {
  for (const auto& pack : packs) {
    if (const auto row = ((*pack).*rows).find(id); row != ((*pack).*rows).end()) return NameOf(&row->second, id, language);
  }
  return id;
}

struct Writer {
  const Packs& packs;
  const v1::TimelineRow& row;
  Language language;

  // Empty: the row says nothing of it.
  std::string Field(std::string_view placeholder) const {
    const std::size_t bar = placeholder.find('|');
    const std::string name(placeholder.substr(0, bar));
    if (name == "actor") return row.actor().person();
    const auto found = row.detail().find(name);
    if (found == row.detail().end()) return "";
    return bar == std::string_view::npos ? found->second : As(placeholder.substr(bar + 1), found->second);
  }

  std::string As(std::string_view form, const std::string& value) const {
    if (form == "clock") return NameIn(packs, &domain::Pack::clocks, value, language);
    if (form == "ladder") return NameIn(packs, &domain::Pack::ladders, value, language);
    if (form == "role") return NameIn(packs, &domain::Pack::roles, value, language);
    if (form == "duty") return NameIn(packs, &domain::Pack::duties, value, language);
    if (form == "record") return NameIn(packs, &domain::Pack::records, value, language);
    if (form == "schedule") return NameIn(packs, &domain::Pack::schedules, value, language);
    const domain::Pack& pack = *packs.front();
    if (form == "level") return pack.Rank(value) < 0 ? value : NameOf(&pack.Level(pack.Rank(value)), value, language);
    if (form == "next") return absl::StrCat(std::atoi(value.c_str()) + 1);
    if (form == "time") {
      absl::Time time;
      if (!absl::ParseTime(absl::RFC3339_full, value, &time, nullptr)) return value;
      return absl::FormatTime("%m-%d %H:%M", time, domain::SchoolZone());
    }
    const auto word = Vocabulary().find(value);
    return word == Vocabulary().end() ? value : word->second[language];
  }

  std::string Fill(std::string_view text) const {
    std::string line;
    for (std::size_t i = 0; i < text.size();) {
      if (text[i] == '[') {
        const std::size_t end = text.find(']', i);
        bool complete = true;
        const std::string part = FillPart(text.substr(i + 1, end - i - 1), &complete);
        if (complete) line += part;
        i = end + 1;
      } else {
        const std::size_t end = std::min(text.find('[', i), text.size());
        bool complete = true;
        line += FillPart(text.substr(i, end - i), &complete);
        i = end;
      }
    }
    return line;
  }

  std::string FillPart(std::string_view text, bool* complete) const {
    std::string part;
    while (!text.empty()) {
      const std::size_t open = std::min(text.find('{'), text.size());
      part += text.substr(0, open);
      if (open == text.size()) break;
      const std::size_t close = text.find('}', open);
      const std::string value = Field(text.substr(open + 1, close - open - 1));
      *complete = *complete && !value.empty();
      part += value;
      text.remove_prefix(close + 1);
    }
    return part;
  }
};

}  // namespace

void HideIndicators(const Packs& packs, std::string_view role, std::string_view person, v1::TimelineRow* row) {
  auto& detail = *row->mutable_detail();
  if (const auto reporter = detail.find("reporter"); reporter != detail.end() && !person.empty() && reporter->second == person) return;
  for (const char* field : {"indicators", "found_in_text"}) {
    const auto codes = detail.find(field);
    if (codes == detail.end()) continue;
    std::vector<std::string> shown = absl::StrSplit(codes->second, ',');
    std::erase_if(shown, [&](const std::string& code) { return std::any_of(packs.begin(), packs.end(), [&](const auto& pack) { return !pack->ShowsIndicator(role, code); }); });
    codes->second = absl::StrJoin(shown, ",");
    if (codes->second.empty()) detail.erase(field);
  }
}

std::string Summary(const Packs& packs, const v1::TimelineRow& row, std::string_view language) {
  const auto words = Templates().find(row.type());
  if (words == Templates().end()) return row.type();
  const Language chosen = Choose(language);
  return Writer{packs, row, chosen}.Fill(words->second[chosen]);
}

}  // namespace vigil::audit
