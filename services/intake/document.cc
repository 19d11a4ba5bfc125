#include "intake/document.h"

#include <algorithm>
#include <array>
#include <functional>
#include <unordered_map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "domain/file.h"
#include "domain/school_time.h"
#include "domain/wording.h"
#include "intake/school_views.h"

namespace vigil::intake {
namespace {

using document::v1::Document;
using document::v1::Section;
using domain::IsSet;
using Words = std::array<const char*, 2>;

constexpr const char* kChinese = "zh-CN";

struct Writer {
  const domain::Pack& pack;
  const std::string& language;

  bool chinese() const { return language == kChinese; }
  std::string In(const Words& words) const { return words[chinese() ? 0 : 1]; }
  std::string In(const domain::Text& text) const {
    std::string_view chosen;
    return std::string(domain::ChooseLanguage(text, language, &chosen));
  }
  std::string NameOf(const domain::Row& row) const { return row.name.empty() ? row.id : In(row.name); }
  std::string TextOf(const std::string& id) const {
    const auto text = pack.texts.find(id);
    return text == pack.texts.end() ? std::string() : In(text->second.text);
  }
  std::string Time(absl::Time time) const { return IsSet(time) ? absl::FormatTime("%Y-%m-%d %H:%M", time, domain::SchoolZone()) : ""; }
  std::string Join(const std::vector<std::string>& items) const { return absl::StrJoin(items, chinese() ? "、" : ", "); }
  std::string YesOrNo(bool yes) const { return yes ? In(Words{"是", "yes"}) : In(Words{"否", "no"}); }
  std::string Aside(const std::string& text, const std::string& aside) const {
    if (aside.empty()) return text;
    return chinese() ? absl::StrCat(text, "（", aside, "）") : absl::StrCat(text, " (", aside, ")");
  }
};

// ---- what the engine knows

struct FactRow {
  Words label;
  std::function<std::string(const Writer&, const domain::SchoolState&, const DocumentSource&)> value;
};

std::string PersonName(const DocumentSource& source, const std::string& id) {
  const auto person = source.people.find(id);
  return person == source.people.end() || person->second.name.empty() ? id : person->second.name;
}

std::string PersonWithRole(const Writer& writer, const DocumentSource& source, const std::string& id) {
  if (id.empty()) return "";
  const auto person = source.people.find(id);
  return writer.Aside(PersonName(source, id), person == source.people.end() ? "" : person->second.role);
}

std::string StudentOf(const DocumentSource& source) { return source.file.duties ? source.record.student : source.file.student; }

std::string MatterNumber(const domain::SchoolState& school, const DocumentSource& source) {
  const std::string code = source.file.current ? source.file.current->code : "";
  return school.short_code.empty() ? code : absl::StrCat(school.short_code, "-", code);
}

std::string Indicator(const Writer& writer, const std::string& shown) {
  const std::string id(domain::IndicatorId(shown));
  const auto row = writer.pack.indicators.find(id);
  if (row == writer.pack.indicators.end()) return shown;
  const std::string name = absl::StrCat(id, " ", writer.NameOf(row->second));
  return shown == id ? name : writer.Aside(name, writer.In(Words{"未确认", "unconfirmed"}));
}

const std::unordered_map<std::string_view, FactRow>& Facts() {
  using S = domain::SchoolState;
  using D = DocumentSource;
  using W = Writer;
  static const auto& all = *new std::unordered_map<std::string_view, FactRow>{
      {"case.number", {{"事项编号", "matter"}, [](const W&, const S& school, const D& d) { return MatterNumber(school, d); }}},
      {"case.student", {{"学生", "student"}, [](const W&, const S&, const D& d) { return StudentOf(d).empty() ? std::string() : PersonName(d, StudentOf(d)); }}},
      {"case.class",
       {{"班级", "class"},
        [](const W&, const S&, const D& d) {
          if (!d.record.class_name.empty()) return d.record.class_name;
          const auto person = d.people.find(StudentOf(d));
          return person == d.people.end() ? std::string() : person->second.class_name;
        }}},
      {"case.author", {{"填写人（学校）", "author (school)"}, [](const W& w, const S&, const D& d) { return PersonWithRole(w, d, d.record.author); }}},
      {"case.filed_time", {{"填写时间", "filed"}, [](const W& w, const S&, const D& d) { return w.Time(d.record.filed_time); }}},
      {"case.received_time", {{"办公室签收", "received by the office"}, [](const W& w, const S&, const D& d) { return w.Time(d.record.acknowledged_time); }}},
      {"case.observed_time", {{"看到的时间", "observed"}, [](const W& w, const S&, const D& d) { return w.Time(d.observed_time); }}},
      {"case.discovered_time", {{"发现时间", "discovered"}, [](const W& w, const S&, const D& d) { return w.Time(d.discovered_time); }}},
      {"case.reported_time", {{"口头报告时间", "told"}, [](const W& w, const S&, const D& d) { return w.Time(d.reported_time); }}},
      {"case.recorded_time", {{"录入时间", "entered"}, [](const W& w, const S&, const D& d) { return w.Time(d.recorded_time); }}},
      {"case.reporter", {{"首报人", "first reporter"}, [](const W& w, const S&, const D& d) { return PersonWithRole(w, d, d.reporter); }}},
      {"case.level", {{"系统所记等级", "level on record"}, [](const W&, const S&, const D& d) { return d.level; }}},
      {"case.indicators",
       {{"报告的指标", "indicators reported"},
        [](const W& w, const S&, const D& d) {
          std::vector<std::string> names;
          for (const std::string& id : d.indicators) names.push_back(Indicator(w, id));
          return w.Join(names);
        }}},
      {"case.holders",
       {{"打印时由谁看护", "with the child when printed"},
        [](const W& w, const S&, const D& d) {
          if (!d.file.current || !d.file.current->custody) return std::string();
          const domain::CustodyState& custody = *d.file.current->custody;
          std::vector<std::string> names;
          for (const std::string& id : custody.holders) names.push_back(PersonWithRole(w, d, id));
          const std::string seen = w.Time(custody.seen_time);
          return names.empty() || seen.empty() ? w.Join(names) : w.Aside(w.Join(names), absl::StrCat(seen, w.In(Words{" 确认在视线内", " in sight"})));
        }}},
      {"case.guardian", {{"接收人（监护人）", "taker (guardian)"}, [](const W&, const S&, const D& d) { return d.guardian.empty() ? std::string() : PersonName(d, d.guardian); }}},
      {"case.guardian_phone",
       {{"接收人电话", "taker's telephone"},
        [](const W&, const S&, const D& d) {
          const auto person = d.people.find(d.guardian);
          return person == d.people.end() ? std::string() : person->second.phone;
        }}},
      {"case.identity_checked",
       {{"身份与禁止接领核对", "identity and exclusion"},
        [](const W& w, const S&, const D& d) {
          if (d.guardian.empty()) return std::string();
          return d.identity_checked ? w.In(Words{"证件已当面核验；不在禁止接领名单内", "identity seen in person; not among those who must not be given the child"})
                                    : w.In(Words{"未核验", "not checked"});
        }}},
      {"case.signatures",
       {{"已登记的签名", "signatures on record"},
        [](const W& w, const S&, const D& d) {
          std::vector<std::string> names;
          for (const std::string& signature : d.signatures) names.push_back(PersonWithRole(w, d, signature));
          return w.Join(names);
        }}},
  };
  return all;
}

// ---- a form's values

std::string Value(const Writer& writer, const DocumentSource& source, const domain::FieldRow& field, const std::string& value) {
  using Type = domain::FieldRow::Type;
  switch (field.type) {
    case Type::kBoolean:
      return value == "true" || value == "false" ? writer.YesOrNo(value == "true") : value;
    case Type::kTime: {
      const absl::Time time = domain::TimeOfField(value);
      return !IsSet(time) ? value : value.size() == 10 ? value : writer.Time(time);
    }
    case Type::kChoice: {
      const std::string name = writer.pack.ChoiceName(field.id, value, writer.language);
      return name.empty() ? value : name;
    }
    case Type::kPerson:
      return source.people.contains(value) ? PersonWithRole(writer, source, value) : value;
    case Type::kPeople:
    case Type::kList: {
      std::vector<std::string> items;
      for (const std::string& item : domain::ListOf(value)) {
        items.push_back(source.people.contains(item) ? PersonWithRole(writer, source, item) : Indicator(writer, item));
      }
      return writer.Join(items);
    }
    case Type::kText:
    case Type::kNumber:
    case Type::kRecord:
      break;
  }
  return value;
}

void AddLine(Section* section, const std::string& label, const std::string& value) {
  if (value.empty()) return;
  auto* line = section->add_lines();
  line->set_label(label);
  line->set_value(value);
}

// ---- the parts that every document has

void Frame(const Writer& writer, const domain::SchoolState& school, bool rehearsal, Document* out) {
  out->set_language(writer.language);
  out->set_letterhead(school.school_name.empty() ? school.school : school.school_name);
  out->set_page_words(writer.In(Words{"第 {page} 页　共 {pages} 页", "page {page} of {pages}"}));
  out->set_date_words(writer.In(Words{"日期", "date"}));
  out->set_unknown_words(writer.In(Words{"本件有 {count} 处字符没有对应的字形，以〔U+编码〕标出，请手写补正。",
                                         "{count} characters of this document are in no font and stand as 〔U+number〕; please write them in by hand."}));
  if (rehearsal) out->add_marks(writer.In(Words{"演练　非真实事项", "REHEARSAL: not a real matter"}));
}

std::string Printed(const Writer& writer, const Words& verb, absl::Time now, const std::string& by) {
  return absl::StrCat(writer.In(verb), " ", writer.Time(now), by.empty() ? "" : "　", by);
}

}  // namespace

std::string DocumentLanguage(const domain::Pack& pack, std::string_view asked, std::string_view of_school) {
  const std::string_view wanted = !asked.empty() && asked != "*" ? asked : of_school;
  // The texts that a pack must have say which languages it has.
  const domain::MessageText* any = pack.ReportAnswer();
  std::string_view chosen;
  if (any != nullptr && !wanted.empty()) domain::ChooseLanguage(any->text, wanted, &chosen);
  return chosen.empty() ? kChinese : std::string(chosen);
}

std::set<std::string> PeopleIn(const domain::Pack& pack, const DocumentSource& source) {
  std::set<std::string> ids = {source.record.author, StudentOf(source), source.guardian, source.reporter, source.printed_by};
  if (source.file.current && source.file.current->custody) {
    for (const std::string& id : source.file.current->custody->holders) ids.insert(id);
  }
  ids.insert(source.signatures.begin(), source.signatures.end());
  const auto row = pack.records.find(source.record.kind);
  for (const auto& [id, value] : source.fields) {
    const domain::FieldRow* field = row == pack.records.end() ? nullptr : row->second.FindField(id);
    if (field == nullptr) continue;
    using Type = domain::FieldRow::Type;
    if (field->type == Type::kPerson) ids.insert(value);
    if (field->type != Type::kPeople && field->type != Type::kList) continue;
    for (std::string& item : domain::ListOf(value)) ids.insert(std::move(item));
  }
  ids.erase("");
  return ids;
}

Document RecordDocument(const domain::Pack& pack, const domain::SchoolState& school, const DocumentSource& source, const std::string& language) {
  const Writer writer{pack, language};
  Document out;
  Frame(writer, school, source.rehearsal, &out);
  const auto record = pack.records.find(source.record.kind);
  const auto layout = pack.documents.find(source.record.kind);
  const bool laid_out = layout != pack.documents.end();
  out.set_title(laid_out                         ? writer.NameOf(layout->second)
                : record != pack.records.end() ? writer.NameOf(record->second)
                                                 : source.record.kind);
  const std::string number = absl::StrCat(MatterNumber(school, source), "-", domain::SpokenCode(source.record.record_id));
  out.set_number(absl::StrCat(writer.In(Words{"编号 ", "No. "}), number));
  out.set_file_name(absl::StrCat("document-", number));
  if (source.record.superseded) out.add_marks(writer.In(Words{"本件已有更正件，以更正件为准", "Corrected by a later document, which holds instead"}));
  if (!source.supersedes.empty()) out.add_marks(writer.In(Words{"更正件", "This document corrects an earlier one"}));
  if (source.record.late) out.add_marks(writer.In(Words{"逾期提交", "Filed late"}));
  if (source.printed_by.empty()) out.add_marks(writer.In(Words{"监护人副本", "Guardian's copy"}));

  const auto fact = [&](std::string_view id) { return Facts().at(id).value(writer, school, source); };
  const auto said_below = [&](std::string_view id) {
    return laid_out && std::any_of(layout->second.parts.begin(), layout->second.parts.end(), [&](const domain::DocumentRow::Part& part) {
             return std::find(part.says.begin(), part.says.end(), id) != part.says.end();
           });
  };
  for (const std::string_view id : {"case.student", "case.class", "case.number", "case.author", "case.filed_time"}) {
    const std::string value = fact(id);
    if (value.empty() || said_below(id)) continue;
    auto* line = out.add_head();
    line->set_label(writer.In(Facts().at(id).label));
    line->set_value(value);
  }

  std::set<std::string> said;
  // Of a part of a form, what was not filled in is told, so that nobody can fill it in on the paper later.
  const auto say = [&](const std::string& id, Section* section, bool told_when_empty) {
    said.insert(id);
    if (const auto known = Facts().find(id); known != Facts().end()) return AddLine(section, writer.In(known->second.label), fact(id));
    const domain::FieldRow* field = record == pack.records.end() ? nullptr : record->second.FindField(id);
    if (field == nullptr || std::find(source.withheld.begin(), source.withheld.end(), id) != source.withheld.end()) return;
    const auto value = source.fields.find(id);
    const bool empty = value == source.fields.end() || value->second.empty();
    if (empty && !told_when_empty) return;
    AddLine(section, field->name.empty() ? id : writer.In(field->name), empty ? writer.In(Words{"（未填）", "(not filled in)"}) : Value(writer, source, *field, value->second));
  };
  if (laid_out) {
    for (const domain::DocumentRow::Signature& place : layout->second.signatures) said.insert(place.field);
    for (const domain::DocumentRow::Part& part : layout->second.parts) {
      Section* section = out.add_sections();
      section->set_heading(writer.In(part.name));
      for (const std::string& id : part.says) say(id, section, true);
      if (section->lines_size() == 0) out.mutable_sections()->RemoveLast();
    }
  }
  // All of a form without a layout; of one with a layout, what a school has added.
  Section* rest = out.add_sections();
  if (laid_out) rest->set_heading(writer.In(Words{"其他", "Other"}));
  if (record != pack.records.end()) {
    for (const domain::FieldRow& field : record->second.fields) {
      if (!said.contains(field.id)) say(field.id, rest, !laid_out);
    }
  }
  // Of a lenient form: what has no field in it.
  for (const auto& [id, value] : source.fields) {
    if (record == pack.records.end() || record->second.FindField(id) == nullptr) AddLine(rest, id, value);
  }
  if (rest->lines_size() == 0) out.mutable_sections()->RemoveLast();

  if (laid_out) {
    for (const domain::DocumentRow::Signature& place : layout->second.signatures) {
      auto* signature = out.add_signatures();
      signature->set_label(writer.In(place.name));
      const auto value = source.fields.find(place.field);
      if (value != source.fields.end()) signature->set_name(PersonName(source, value->second));
    }
    for (const std::string& text : layout->second.notes) out.add_notes(writer.TextOf(text));
    if (layout->second.copy && !source.copy_token.empty()) {
      out.set_copy_path(absl::StrCat("/d/", source.copy_token));
      out.set_copy_words(writer.TextOf(layout->second.copy->text));
    }
  } else {
    out.add_signatures()->set_label(writer.In(Words{"填写人", "Author"}));
  }
  if (!source.withheld.empty()) {
    out.add_notes(writer.chinese() ? absl::StrCat("另有 ", source.withheld.size(), " 项内容按权限未印出。")
                                   : absl::StrCat(source.withheld.size(), " more fields are for others to read and are not printed."));
  }
  const bool copy = source.printed_by.empty();
  out.set_printed_words(Printed(writer, copy ? Words{"副本打开于", "copy opened"} : Words{"打印于", "printed"}, source.now,
                                copy ? "" : PersonName(source, source.printed_by)));
  return out;
}

Document StatisticsDocument(const domain::Pack& pack, const domain::SchoolState& school, const v1::Statistics& statistics, absl::Time from, absl::Time to,
                            const std::string& printed_by, absl::Time now, bool rehearsal, const std::string& language) {
  const Writer writer{pack, language};
  Document out;
  Frame(writer, school, rehearsal, &out);
  out.set_title(writer.In(Words{"学期工作统计", "Statistics of a term"}));
  out.set_file_name("statistics");
  const auto day = [](absl::Time time) { return absl::FormatTime("%Y-%m-%d", time, domain::SchoolZone()); };
  const auto head = [&](const Words& label, const std::string& value) {
    auto* line = out.add_head();
    line->set_label(writer.In(label));
    line->set_value(value);
  };
  const auto cell = [&](const v1::Cell& c) {
    return c.suppressed() ? absl::StrCat(writer.In(Words{"少于", "under "}), kSmallestCell) : absl::StrCat(c.count());
  };
  // "to" is exclusive: the last day is the one before.
  head({"期间", "from and to"}, absl::StrCat(from == absl::InfinitePast() ? writer.In(Words{"开始", "the beginning"}) : day(from), writer.In(Words{" 至 ", " to "}),
                                             to == absl::InfiniteFuture() ? day(now) : day(to - absl::Seconds(1))));
  head({"学生总数", "students"}, absl::StrCat(statistics.students()));
  head({"在册学生", "on the register"}, cell(statistics.registered()));
  const auto table = [&](const Words& heading, std::initializer_list<Words> columns) {
    Section* section = out.add_sections();
    section->set_heading(writer.In(heading));
    for (const Words& column : columns) section->add_columns(writer.In(column));
    return section;
  };
  const auto row = [](Section* section, std::initializer_list<std::string> cells) {
    auto* added = section->add_rows();
    for (const std::string& text : cells) added->add_cells(text);
  };
  Section* levels = table({"一、事项（按最高等级）", "1. Cases by highest level"}, {{"等级", "level"}, {"件数", "cases"}});
  for (const v1::Cell& c : statistics.cases_by_level()) {
    const int rank = pack.Rank(c.name());
    row(levels, {rank < 0 ? c.name() : writer.NameOf(pack.Level(rank)), cell(c)});
  }
  const auto hours = [&](std::int64_t seconds) {
    if (seconds == 0) return std::string("–");
    return seconds < 7200 ? absl::StrCat(seconds / 60, writer.In(Words{" 分", " min"})) : absl::StrFormat("%.1f%s", static_cast<double>(seconds) / 3600, writer.In(Words{" 时", " h"}));
  };
  if (statistics.clocks_size() > 0) {
    Section* clocks = table({"二、时限", "2. Clocks"}, {{"时限", "clock"}, {"开始", "begun"}, {"按时", "in time"}, {"迟", "late"}, {"中位用时", "median"}});
    for (const v1::ClockStatistics& clock : statistics.clocks()) {
      const domain::ClockRow* known = pack.FindClock(clock.kind());
      row(clocks, {known == nullptr ? clock.kind() : writer.NameOf(*known), cell(clock.started()), cell(clock.in_time()), cell(clock.late()), hours(clock.median_seconds())});
    }
  }
  if (statistics.duties_size() > 0) {
    Section* duties = table({"三、定期工作", "3. Duties"}, {{"工作", "duty"}, {"应做", "owed"}, {"已做", "done"}, {"迟", "late"}});
    for (const v1::DutyStatistics& duty : statistics.duties()) {
      const auto known = pack.duties.find(duty.duty());
      row(duties, {known == pack.duties.end() ? duty.duty() : writer.NameOf(known->second), absl::StrCat(duty.owed()), absl::StrCat(duty.done()), absl::StrCat(duty.late())});
    }
  }
  out.add_notes(writer.In(Words{"涉及学生的数字少于5时不显示具体数。迟的记录用于改进，不用于排名。",
                                "Numbers of students under 5 are not told. Late marks are for helping, not for ranking."}));
  out.add_signatures()->set_label(writer.In(Words{"主管校领导", "Leader"}));
  out.set_printed_words(Printed(writer, Words{"打印于", "printed"}, now, printed_by));
  return out;
}

}  // namespace vigil::intake
