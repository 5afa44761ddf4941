import { FAULT_KINDS } from "../../support/dunning-simulation/faults.ts";
import { simulatesDunning } from "../../support/dunning-simulation/suite.ts";

// The same customers, while events are late, lost, repeated and shuffled, Stripe and Resend cannot be reached for hours,
// runs are missed for days or start five at once, and processes end at every named point.
simulatesDunning("with faults", FAULT_KINDS, 0.6);
