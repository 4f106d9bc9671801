-- Files about what a customer did: governed as all that is the account's; what was sent stays as it was sent.

CREATE TRIGGER z_guard_delete AFTER DELETE ON public.disclosures_noticefile REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('notices', 'sent_at');
ALTER TABLE public.disclosures_noticefile ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.disclosures_noticefile REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('notices', 'sent_at');
ALTER TABLE public.disclosures_noticefile ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.disclosures_noticefile REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('notices');
ALTER TABLE public.disclosures_noticefile ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.disclosures_noticefile FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.disclosures_noticefile ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.disclosures_noticefile FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.disclosures_noticefile ENABLE ALWAYS TRIGGER z_guard_truncate;

CREATE OR REPLACE FUNCTION public.guard_erasure_update() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    own bigint := pg_current_xact_id()::text::bigint;
    concerned uuid[];
    wrong record;
    left_over text;
BEGIN
    concerned := ARRAY(SELECT DISTINCT w.account_id FROM was w);
    PERFORM 1 FROM public.accounts_account a WHERE a.id = ANY(concerned) ORDER BY a.id FOR UPDATE;
    -- A new statement: what changed, and whether it may.
    SELECT w.id, w.state AS before, n.state AS after INTO wrong
      FROM was w LEFT JOIN changed n ON n.id = w.id
     WHERE n.id IS NULL OR n.account_id <> w.account_id OR n.category <> w.category OR n.kept_for <> w.kept_for
        OR n.due_at < w.due_at
        OR (w.state, n.state) NOT IN (('due', 'due'), ('due', 'gone'), ('due', 'cancelled'), ('gone', 'gone'),
                                      ('gone', 'verified'), ('verified', 'verified'), ('cancelled', 'cancelled'))
        OR (w.rows_gone_at IS NOT NULL AND n.rows_gone_at IS NULL)
        OR (w.gone_xid IS NOT NULL AND (n.gone_xid, n.rows_gone_at) IS DISTINCT FROM (w.gone_xid, w.rows_gone_at))
        OR (w.unreachable_at IS NOT NULL AND n.unreachable_at IS DISTINCT FROM w.unreachable_at)
        OR (n.unreachable_at IS NOT NULL AND n.state NOT IN ('gone', 'verified'))
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'erasure % cannot go from % to % like this', wrong.id, wrong.before, wrong.after USING ERRCODE = 'PH003';
    END IF;
    -- Matched by id before anything else is asked (OFFSET 0): asked together, the plan compares each row with each.
    PERFORM 1 FROM (SELECT w.state AS before, n.state FROM was w JOIN changed n ON n.id = w.id OFFSET 0) m
      WHERE m.state <> m.before;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT m.id INTO wrong
      FROM (SELECT w.state AS before, n.* FROM was w JOIN changed n ON n.id = w.id OFFSET 0) m
      JOIN public.accounts_account a ON a.id = m.account_id
     WHERE m.before = 'due' AND m.state = 'cancelled' AND (m.rows_gone_at IS NOT NULL OR a.state <> 'active') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'erasure % cannot be cancelled: it has begun, or its account is still closed', wrong.id USING ERRCODE = 'PH003';
    END IF;
    SELECT m.id INTO wrong
      FROM (SELECT w.state AS before, n.* FROM was w JOIN changed n ON n.id = w.id OFFSET 0) m
      JOIN public.accounts_account a ON a.id = m.account_id
     WHERE m.before = 'due' AND m.state = 'gone'
       AND (m.gone_xid IS DISTINCT FROM own OR m.due_at > clock_timestamp() OR a.state = 'active') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'erasure % is not due, or was not carried out here', wrong.id USING ERRCODE = 'PH003';
    END IF;
    SELECT m.id INTO wrong
      FROM (SELECT w.state AS before, n.* FROM was w JOIN changed n ON n.id = w.id OFFSET 0) m
      JOIN public.retention_hold h ON h.account_id = m.account_id
     WHERE m.before = 'due' AND m.state = 'gone' AND m.category <> 'credentials'
       AND (h.covers_until IS NULL OR h.covers_until > clock_timestamp())
       AND (cardinality(h.categories) = 0 OR m.category = ANY(h.categories)) AND NOT m.category = ANY(h.already_gone)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'erasure % is governed and stays', wrong.id USING ERRCODE = 'PH001';
    END IF;
    -- Gone means gone: what an earlier hold kept of the rows goes with them,
    DELETE FROM public.retention_keptversion v
     USING (SELECT w.state AS before, n.* FROM was w JOIN changed n ON n.id = w.id OFFSET 0) m
     WHERE v.account_id = m.account_id AND v.category = m.category AND m.before = 'due' AND m.state = 'gone';
    -- and no row of the category is left (the list is compared with the data map by a check).
    WITH m AS MATERIALIZED (SELECT w.state AS before, n.* FROM was w JOIN changed n ON n.id = w.id), e AS MATERIALIZED (
        SELECT m.account_id, m.category FROM m WHERE m.state <> m.before AND m.state IN ('gone', 'verified'))
    SELECT x.tab INTO left_over FROM (
        (SELECT 'accounts_acceptance' AS tab FROM public.accounts_acceptance t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'consent')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_accessevent' AS tab FROM public.accounts_accessevent t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'access')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_accounttoken' AS tab FROM public.accounts_accounttoken t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_address' AS tab FROM public.accounts_address t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'contact')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_attachment' AS tab FROM public.accounts_attachment t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'support')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_billingprofile' AS tab FROM public.accounts_billingprofile t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'billing')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_businessitem' AS tab FROM public.accounts_businessitem t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'business')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_confidentialitem' AS tab FROM public.accounts_confidentialitem t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'confidential')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_contact' AS tab FROM public.accounts_contact t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'contact')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_correspondence' AS tab FROM public.accounts_correspondence t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'correspondence')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_device' AS tab FROM public.accounts_device t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'access')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_emailchange' AS tab FROM public.accounts_emailchange t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'contact')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_export' AS tab FROM public.accounts_export t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_exportpart' AS tab FROM public.accounts_exportpart t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_invitation' AS tab FROM public.accounts_invitation t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_invoice' AS tab FROM public.accounts_invoice t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'invoices')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_invoiceline' AS tab FROM public.accounts_invoiceline t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'invoices')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ipassignment' AS tab FROM public.accounts_ipassignment t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'network')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_order' AS tab FROM public.accounts_order t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'orders')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_orderline' AS tab FROM public.accounts_orderline t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'orders')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ordersignals' AS tab FROM public.accounts_ordersignals t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'orders')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_pagevisit' AS tab FROM public.accounts_pagevisit t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'analytics')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_payment' AS tab FROM public.accounts_payment t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'invoices')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_paymentmethod' AS tab FROM public.accounts_paymentmethod t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'billing')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_person' AS tab FROM public.accounts_person t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'identity')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_restriction' AS tab FROM public.accounts_restriction t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'consent')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_service' AS tab FROM public.accounts_service t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'services')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_session' AS tab FROM public.accounts_session t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_signinidentifier' AS tab FROM public.accounts_signinidentifier t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_suspension' AS tab FROM public.accounts_suspension t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'services')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ticket' AS tab FROM public.accounts_ticket t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'support')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ticketmessage' AS tab FROM public.accounts_ticketmessage t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'support')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ticketnote' AS tab FROM public.accounts_ticketnote t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'support')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_user' AS tab FROM public.accounts_user t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_abusenotice' AS tab FROM public.disclosures_abusenotice t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'notices')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_abusenoticeitem' AS tab FROM public.disclosures_abusenoticeitem t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'notices')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_consentgrant' AS tab FROM public.disclosures_consentgrant t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'consent')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_counternotice' AS tab FROM public.disclosures_counternotice t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'notices')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_noticechallenge' AS tab FROM public.disclosures_noticechallenge t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'correspondence')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_noticecopy' AS tab FROM public.disclosures_noticecopy t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'correspondence')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_noticefile' AS tab FROM public.disclosures_noticefile t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'notices')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_strike' AS tab FROM public.disclosures_strike t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'notices')) LIMIT 1)
      ) x LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'rows of % are left: not gone', left_over USING ERRCODE = 'PH003';
    END IF;
    RETURN NULL;
END $guard$;

CREATE FUNCTION public.guard_notice_file() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    sealed text[] := ARRAY['name', 'content'];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (to_jsonb(NEW) - sealed) IS DISTINCT FROM (to_jsonb(OLD) - sealed) THEN
            RAISE EXCEPTION 'file % stays as it was sent', OLD.id USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    PERFORM 1 FROM public.disclosures_abusenotice n
      WHERE n.id = NEW.notice_id AND n.account_id = NEW.account_id AND n.ended_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a file belongs to an open notice of its account' USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_notice_file BEFORE INSERT OR UPDATE ON public.disclosures_noticefile
    FOR EACH ROW EXECUTE FUNCTION public.guard_notice_file();
ALTER TABLE public.disclosures_noticefile ENABLE ALWAYS TRIGGER z_guard_notice_file;

CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_casefile
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_casefile ENABLE ALWAYS TRIGGER z_guard_evidence;
REVOKE UPDATE, DELETE ON disclosures_casefile FROM portal_runtime;
