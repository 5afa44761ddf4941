import { simulatesDunning } from "../../support/dunning-simulation/suite.ts";

// Random customers under random policies; every event arrives at once and every run happens.
simulatesDunning("without faults", [], 0.4);
