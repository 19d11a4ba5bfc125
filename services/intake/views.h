// A file as outsiders read it.
#pragma once

#include <string>
#include <vector>

#include "domain/pack/pack.h"
#include "intake/caller.h"
#include "vigil/intake/v1/intake.pb.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::intake {

// Of the indicators, those that `caller` may read.
void FillCase(const domain::Pack& pack, const domain::FileState& file, const Caller& caller, v1::Case* view);
void FillClocks(const domain::FileState& file, google::protobuf::RepeatedPtrField<v1::ClockView>* clocks);
void FillCustody(const domain::FileState& file, v1::Custody* custody);

// What may be asked of the case as it stands, by the names of the API; empty for a closed one.
std::vector<std::string> AllowedCommands(const domain::Pack& pack, const domain::SchoolState& school, const domain::FileState& file);

// "open", "handed_over", …
std::string PhaseName(domain::CasePhase phase);

}  // namespace vigil::intake
