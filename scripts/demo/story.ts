import type { Act } from "./cast.ts";
import { checkOut, firstPayment, othersSubscribe, refundEve, signUp, trialWillEnd } from "./first-months.ts";
import {
  adaPays,
  cleoIsPaused,
  dayTen,
  finnPays,
  jobIsBack,
  jobIsDown,
  renewalsFail,
  until,
} from "./overdue-month.ts";

/** The story in order: two months in which people subscribe, and one in which their payments fail. */
export const acts: Act[] = [
  { title: "Ada signs up, and so does Grace", play: signUp },
  { title: "Ada checks out: Pro, $20.00 a month after a 7-day trial", play: checkOut },
  { title: "Three days before the trial ends", play: trialWillEnd },
  { title: "The trial ends and the first payment is taken", play: firstPayment },
  { title: "Bo, Cleo and Dan subscribe", play: othersSubscribe },
  { title: "Two weeks later Eve and Finn do, and Eve wants her money back", play: refundEve },
  { title: "Day 0: the renewals of Ada, Bo, Cleo and Dan fail", play: renewalsFail },
  { title: "Day 3: the daily run reminds", play: until(3) },
  { title: "Day 4: Cleo's policy warns earlier", play: until(4) },
  { title: "Day 5: Ada pays", play: adaPays },
  { title: "Day 7: the final warning", play: until(7) },
  { title: "Day 8: Cleo's policy has come to its end", play: cleoIsPaused },
  { title: "Day 10: Dan pays in the last minute, and no event says so; Bo never does", play: dayTen },
  { title: "Day 14: Finn's renewal fails, and then the daily job is down for four days", play: jobIsDown },
  { title: "The job is back: one mail, not two", play: jobIsBack },
  { title: "Finn pays", play: finnPays },
];

/** The mails all of this causes, each with whom it goes to. */
export const mailsOfTheStory: readonly string[] = [
  "trial-ending ada@example.com",
  "payment-receipt ada@example.com",
  "payment-receipt bo@example.com",
  "payment-receipt cleo@example.com",
  "payment-receipt dan@example.com",
  "payment-receipt eve@example.com",
  "payment-receipt finn@example.com",
  "refund-issued eve@example.com",
  "subscription-canceled eve@example.com",
  "payment-failed-notice ada@example.com",
  "payment-failed-notice bo@example.com",
  "payment-failed-notice cleo@example.com",
  "payment-failed-notice dan@example.com",
  "payment-failed-urgent ada@example.com",
  "payment-failed-urgent bo@example.com",
  "payment-failed-urgent dan@example.com",
  "payment-failed-final cleo@example.com",
  "payment-recovered ada@example.com",
  "payment-failed-final bo@example.com",
  "payment-failed-final dan@example.com",
  "subscription-paused cleo@example.com",
  "payment-recovered dan@example.com",
  "subscription-canceled bo@example.com",
  "payment-failed-notice finn@example.com",
  "payment-failed-final finn@example.com",
  "payment-recovered finn@example.com",
];
