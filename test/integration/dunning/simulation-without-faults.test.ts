import { simulatesDunning } from "../../support/dunning-simulation/suite.ts";

// Random customers under random policies; every event arrives at once and every run happens.
simulatesDunning("dunning, without faults,", false, 0.4);
