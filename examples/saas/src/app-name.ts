/** What the application is called, in its pages and where its mails name it (`billing.settings.app_name`). */
export const APP_NAME = "Example Reports";
