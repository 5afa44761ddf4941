import { FAULT_KINDS } from "../../support/dunning-simulation/faults.ts";
import { simulatesDunning } from "../../support/dunning-simulation/suite.ts";

// The same customers, who belong to teams that people join, leave and manage, whose managers' accounts are forgotten, and
// that are deleted. Dunning goes on as for users, and everybody reads what their place in a team allows at that moment.
simulatesDunning("of teams, without faults", [], 0.5, { hasTeams: true });
simulatesDunning("of teams, with faults", FAULT_KINDS, 0.5, { hasTeams: true });
