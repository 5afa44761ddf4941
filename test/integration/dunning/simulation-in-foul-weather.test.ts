import { keepsItsPromises } from "../../support/dunning-simulation/promises.ts";

// The same people, while events are late, lost, doubled and shuffled, Stripe and Resend are away for hours, runs are
// missed for days or come five at once, and processes end at every named point.
keepsItsPromises("dunning, in foul weather,", true, 0.6);
