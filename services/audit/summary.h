// One line a row, in the reader's language: the engine's events in words of ours, clocks, levels, ladders and records by the pack's names.
#pragma once

#include <string>
#include <string_view>

#include "domain/pack/pack.h"
#include "vigil/audit/v1/audit.pb.h"

namespace vigil::audit {

// `language` is a tag or an Accept-Language; zh-CN unless the first of its languages that we have is another.
std::string Summary(const domain::Pack& pack, const v1::TimelineRow& row, std::string_view language);

}  // namespace vigil::audit
