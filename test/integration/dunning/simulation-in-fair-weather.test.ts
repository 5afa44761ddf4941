import { keepsItsPromises } from "../../support/dunning-simulation/promises.ts";

// Random customers under random policies; every event arrives at once and every run happens.
keepsItsPromises("dunning, in fair weather,", false, 0.4);
