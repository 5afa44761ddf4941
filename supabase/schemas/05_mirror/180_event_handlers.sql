-- The mirror's event handlers: which event type runs which projection, and which leave a fact in the audit trail.
-- Later stages enter theirs beside the functions; billing.event_handlers lists all that Duebase does with an event.
-- Writes: event_handlers. Called by: nobody; dispatch_event is written from these rows.

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, h.handler, h.position, h.description
from (
  values
    (
      'billing_private.project_customer', 10, 'keeps customers',
      array['customer.created', 'customer.updated', 'customer.deleted']
    ),
    (
      'billing_private.project_product', 10, 'keeps products',
      array['product.created', 'product.updated', 'product.deleted']
    ),
    (
      'billing_private.project_price', 10, 'keeps prices',
      array['price.created', 'price.updated', 'price.deleted']
    ),
    (
      'billing_private.project_subscription', 10, 'keeps subscriptions and their items',
      array[
        'customer.subscription.created', 'customer.subscription.updated', 'customer.subscription.deleted',
        'customer.subscription.trial_will_end', 'customer.subscription.paused', 'customer.subscription.resumed',
        'customer.subscription.pending_update_applied', 'customer.subscription.pending_update_expired'
      ]
    ),
    (
      'billing_private.project_invoice', 10, 'keeps invoices',
      array[
        'invoice.created', 'invoice.finalized', 'invoice.updated', 'invoice.sent', 'invoice.paid', 'invoice.payment_succeeded',
        'invoice.payment_failed', 'invoice.payment_action_required', 'invoice.overdue', 'invoice.voided',
        'invoice.marked_uncollectible', 'invoice.deleted'
      ]
    ),
    (
      'billing_private.link_invoice_payments', 20, 'links payments to their invoice',
      array[
        'invoice.finalized', 'invoice.updated', 'invoice.paid', 'invoice.payment_succeeded', 'invoice.payment_failed',
        'invoice.payment_action_required'
      ]
    ),
    (
      'billing_private.record_payment_failure', 30, 'keeps when payment first failed',
      array['invoice.payment_failed']
    ),
    (
      'billing_private.project_invoice_payment', 10, 'keeps invoice payments and links payments to their invoice',
      array['invoice_payment.paid']
    ),
    (
      'billing_private.project_payment_intent', 10, 'keeps payments',
      array[
        'payment_intent.created', 'payment_intent.succeeded', 'payment_intent.payment_failed', 'payment_intent.processing',
        'payment_intent.canceled', 'payment_intent.requires_action', 'payment_intent.amount_capturable_updated',
        'payment_intent.partially_funded'
      ]
    ),
    (
      'billing_private.project_charge', 10, 'keeps payments: card, receipt, what was refunded',
      array[
        'charge.succeeded', 'charge.failed', 'charge.pending', 'charge.captured', 'charge.expired', 'charge.updated',
        'charge.refunded'
      ]
    ),
    (
      'billing_private.project_refund', 10, 'keeps refunds, and what they take back of a payment',
      array['refund.created', 'refund.updated', 'refund.failed', 'charge.refund.updated']
    ),
    (
      'billing_private.project_dispute', 10, 'keeps disputes',
      array[
        'charge.dispute.created', 'charge.dispute.updated', 'charge.dispute.closed', 'charge.dispute.funds_withdrawn',
        'charge.dispute.funds_reinstated'
      ]
    ),
    (
      'billing_private.record_dispute_step', 20, 'keeps when the money went and came, and when it was closed',
      array['charge.dispute.closed', 'charge.dispute.funds_withdrawn', 'charge.dispute.funds_reinstated']
    ),
    (
      'billing_private.update_dispute_amounts', 30, 'keeps what disputes take of a payment',
      array[
        'charge.dispute.created', 'charge.dispute.updated', 'charge.dispute.closed', 'charge.dispute.funds_withdrawn',
        'charge.dispute.funds_reinstated'
      ]
    ),
    (
      'billing_private.project_payment_method', 10, 'keeps payment methods',
      array[
        'payment_method.attached', 'payment_method.detached', 'payment_method.updated', 'payment_method.automatically_updated'
      ]
    ),
    (
      'billing_private.project_checkout_session', 10, 'keeps checkout sessions',
      array[
        'checkout.session.completed', 'checkout.session.expired', 'checkout.session.async_payment_succeeded',
        'checkout.session.async_payment_failed'
      ]
    ),
    (
      'billing_private.record_end_of_checkout', 20, 'keeps when a checkout was completed, or expired',
      array['checkout.session.completed', 'checkout.session.expired']
    ),
    (
      'billing_private.record_audit_event', 50, 'audit trail',
      array[
        'customer.created', 'customer.deleted',
        'customer.subscription.created', 'customer.subscription.deleted', 'customer.subscription.trial_will_end',
        'customer.subscription.paused', 'customer.subscription.resumed', 'customer.subscription.pending_update_applied',
        'customer.subscription.pending_update_expired',
        'invoice.finalized', 'invoice.paid', 'invoice.payment_failed', 'invoice.payment_action_required', 'invoice.overdue',
        'invoice.voided', 'invoice.marked_uncollectible', 'invoice.deleted',
        'payment_intent.succeeded', 'payment_intent.payment_failed', 'payment_intent.canceled',
        'charge.refunded', 'refund.created', 'refund.failed',
        'charge.dispute.created', 'charge.dispute.closed', 'charge.dispute.funds_withdrawn', 'charge.dispute.funds_reinstated',
        'payment_method.attached', 'payment_method.detached', 'payment_method.automatically_updated',
        'checkout.session.completed', 'checkout.session.async_payment_succeeded', 'checkout.session.async_payment_failed',
        'product.deleted', 'price.deleted'
      ]
    ),
    (
      'billing_private.record_audit_of_charge', 50, 'audit trail, of charges without a PaymentIntent',
      array['charge.succeeded', 'charge.failed', 'charge.captured']
    ),
    (
      'billing_private.record_audit_of_change', 50, 'audit trail, where the update changed what is billed, or by what',
      array[
        'customer.updated', 'customer.subscription.updated', 'price.updated', 'product.updated', 'refund.updated',
        'charge.refund.updated', 'charge.dispute.updated', 'payment_method.updated'
      ]
    )
) as h (handler, position, description, event_types)
cross join lateral unnest(h.event_types) as t (event_type);
