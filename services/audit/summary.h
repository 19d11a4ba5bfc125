// One line a row, in the reader's language: the engine's events in words of ours, clocks, levels, ladders and records by the pack's names.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "domain/pack/pack.h"
#include "vigil/audit/v1/audit.pb.h"

namespace vigil::audit {

using Packs = std::vector<std::shared_ptr<const domain::Pack>>;

// Takes out of the row the indicators that are not for this role to see; who reported them sees them. Before Summary.
void HideIndicators(const Packs& packs, std::string_view role, std::string_view person, v1::TimelineRow* row);

// `language` is a tag or an Accept-Language; zh-CN unless the first of its languages that we have is another.
// `packs`: of the school, the one in force first; a name that it no longer has is looked for in the others. Not empty.
std::string Summary(const Packs& packs, const v1::TimelineRow& row, std::string_view language);

}  // namespace vigil::audit
