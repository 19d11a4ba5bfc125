// What a school lays over the common pack in tests: an indicator with its rule, a field of a form, a record kind, and a duty. YAML.
#pragma once

namespace vigil {

inline constexpr char kOwnRows[] = R"(indicators:
  - id: S1
    kind: factor
    name: {zh-CN: 沉迷网络, en: cannot leave the screen}
    examples: {zh-CN: [整夜上网], en: [online all night]}
    for: [CRIT-23]
    basis: school_setting
rules:
  - id: screen-is-watched
    name: {zh-CN: 沉迷网络须关注, en: the screen is watched}
    when: {has: S1}
    propose: watch
    for: [CRIT-23]
    basis: school_setting
records:
  class_report:
    fields:
      - {id: absences, name: {zh-CN: 缺勤人数, en: absences}, type: number, required: true}
  canteen_check:
    name: {zh-CN: 食堂检查, en: check of the canteen}
    attaches_to: school
    written_by: [leader]
    read_by: [leader]
    fields:
      - {id: fine, name: {zh-CN: 正常, en: fine}, type: boolean, required: true}
    for: [REG-05]
    basis: school_setting
duties:
  canteen:
    name: {zh-CN: 每周食堂检查, en: weekly check of the canteen}
    owner: [leader]
    every: school_week
    due: {weekday: wednesday, time: "10:00"}
    record: canteen_check
    late: [{remind: true}]
    notice: duty_notice
    for: [REG-05]
    basis: school_setting
)";

}  // namespace vigil
