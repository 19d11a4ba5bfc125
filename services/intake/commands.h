// What each command on a case means, as events: one row a command. The guards stand in domain/file.cc; here is only what the edge of the
// service checks: codes of the pack, people of the school, forms.
#pragma once

#include "domain/form.h"
#include "intake/intake.h"

namespace vigil::intake {

// One function a request type: the decision first, its companions after.
Intake::MakeEvents EventsFor(const v1::RecordPhoneReportRequest& request);
Intake::MakeEvents EventsFor(const v1::ConfirmInSightRequest& request);
Intake::MakeEvents EventsFor(const v1::FileWrittenReportRequest& request);
Intake::MakeEvents EventsFor(const v1::ReceiveWrittenReportRequest& request);
Intake::MakeEvents EventsFor(const v1::AcknowledgeRequest& request);
Intake::MakeEvents EventsFor(const v1::AssessRequest& request);
Intake::MakeEvents EventsFor(const v1::PlanShiftsRequest& request);
Intake::MakeEvents EventsFor(const v1::OfferShiftRequest& request);
Intake::MakeEvents EventsFor(const v1::AcceptShiftRequest& request);
Intake::MakeEvents EventsFor(const v1::CheckInRequest& request);
Intake::MakeEvents EventsFor(const v1::RecordGuardianContactRequest& request);
Intake::MakeEvents EventsFor(const v1::HandOverToGuardianRequest& request);
Intake::MakeEvents EventsFor(const v1::HandOverToAuthorityRequest& request);
Intake::MakeEvents EventsFor(const v1::DecideNotSevereRequest& request);
Intake::MakeEvents EventsFor(const v1::RecordDepartureRequest& request);
Intake::MakeEvents EventsFor(const v1::ReturnCustodyRequest& request);
Intake::MakeEvents EventsFor(const v1::CorrectDiscoveryRequest& request);
Intake::MakeEvents EventsFor(const v1::HoldRequest& request);
Intake::MakeEvents EventsFor(const v1::LiftHoldRequest& request);
Intake::MakeEvents EventsFor(const v1::RecuseRequest& request);
Intake::MakeEvents EventsFor(const v1::CloseRequest& request);
Intake::MakeEvents EventsFor(const v1::FileRecordRequest& request);
Intake::MakeEvents EventsFor(const v1::SignAgreementRequest& request);
Intake::MakeEvents EventsFor(const v1::ApplyForLeaveRequest& request);
Intake::MakeEvents EventsFor(const v1::RequestReturnRequest& request);
Intake::MakeEvents EventsFor(const v1::ApproveReturnRequest& request);
Intake::MakeEvents EventsFor(const v1::ConveneRequest& request);
Intake::MakeEvents EventsFor(const v1::AcknowledgeRecordRequest& request);
Intake::MakeEvents EventsFor(const v1::RevokeCopiesRequest& request);

// The refusal that names the fields of a form; OK when nothing is wrong.
absl::Status FormRefusal(const std::vector<domain::FormError>& errors);

}  // namespace vigil::intake
