import { Card } from "../parts/page.tsx";
import { useWords } from "../words/words.tsx";
import type { Books } from "./read-books.ts";

export function InvoicesCard({ invoices }: Pick<Books, "invoices">) {
  const { words, mails, money, date } = useWords();
  if (invoices.length === 0)
    return (
      <Card title={words.billing.invoices}>
        <p>{words.billing.noInvoices}</p>
      </Card>
    );
  return (
    <Card title={words.billing.invoices}>
      <table>
        <thead>
          <tr>
            <th scope="col">{mails.common.labels.invoice}</th>
            <th scope="col">{words.billing.date}</th>
            <th scope="col">{mails.common.labels.amount}</th>
            <th scope="col">{words.billing.status}</th>
            <th scope="col">PDF</th>
          </tr>
        </thead>
        <tbody>
          {invoices.map(
            ({ id, number, status, total, currency, created, hosted_invoice_url, invoice_pdf }) => (
              <tr key={id}>
                <td data-label={mails.common.labels.invoice}>
                  {hosted_invoice_url ? <a href={hosted_invoice_url}>{number}</a> : number}
                </td>
                <td data-label={words.billing.date}>{created && date(created)}</td>
                <td data-label={mails.common.labels.amount}>{money(total ?? 0, currency ?? "usd")}</td>
                <td data-label={words.billing.status}>
                  {words.billing.invoiceStatuses[status ?? ""] ?? status}
                </td>
                <td data-label="PDF">
                  {invoice_pdf && (
                    <a href={invoice_pdf} aria-label={`${mails.common.downloadPdf}: ${number}`}>
                      PDF
                    </a>
                  )}
                </td>
              </tr>
            ),
          )}
        </tbody>
      </table>
    </Card>
  );
}
