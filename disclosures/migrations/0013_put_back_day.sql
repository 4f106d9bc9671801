-- Tighter guards of notices; functions are replaced whole (the newest file counts).

-- What happened stays as it was written; the clock finds silence only where there was time, no answer, and somebody who
-- could give one.
CREATE OR REPLACE FUNCTION public.guard_abuse_notice() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    was jsonb;
    becomes jsonb;
    -- Sealed words are outside: the case has its own copy, which nobody can change.
    begins text[] := ARRAY['id', 'account_id', 'reference', 'case', 'kind', 'service', 'sent_at', 'letter'];
    once text[] := ARRAY['acknowledged_at', 'acknowledged_by', 'disagreed_at', 'disagreed_by', 'countered_at',
                         'extended_at', 'extended_by', 'second_at'];
    sealed text[] := ARRAY['claim', 'reporter', 'original', 'extension_reason', 'disagreement', 'lift_evidence'];
    again boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM 1 FROM public.disclosures_abusecase c
          WHERE c.id = NEW."case" AND c.account_id = NEW.account_id AND c.kind = NEW.kind AND c.found = 'one'
            AND c.closed_at IS NULL FOR SHARE;
        IF NOT FOUND OR coalesce(NEW.delivered_at, NEW.bounced_at, NEW.second_at, NEW.reminded_at, NEW.material_by,
            NEW.act_by, NEW.extended_at, NEW.acknowledged_at, NEW.remedied_at, NEW.disagreed_at, NEW.countered_at,
            NEW.lapsed_at, NEW.suspended_at, NEW.lifted_at, NEW.ended_at) IS NOT NULL THEN
            RAISE EXCEPTION 'a notice tells the customer of an open case, and nothing happened yet' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    was := to_jsonb(OLD);
    becomes := to_jsonb(NEW);
    IF OLD.ended_at IS NOT NULL AND (becomes - sealed) IS DISTINCT FROM (was - sealed) THEN
        RAISE EXCEPTION 'notice % has ended; that stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    PERFORM 1 FROM unnest(begins) AS f(name)
      WHERE becomes -> f.name IS DISTINCT FROM was -> f.name AND NOT (f.name = 'letter'
          AND (OLD.letter IS NULL OR (OLD.bounced_at IS NULL AND NEW.bounced_at IS NOT NULL)));
    IF FOUND THEN
        RAISE EXCEPTION 'notice % stays as it was sent', OLD.id USING ERRCODE = 'PH003';
    END IF;
    PERFORM 1 FROM unnest(once) AS f(name)
      WHERE was -> f.name <> 'null'::jsonb AND becomes -> f.name IS DISTINCT FROM was -> f.name;
    IF FOUND THEN
        RAISE EXCEPTION 'notice %: what was answered stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    -- Somebody looked again and saw it still there: the answer is asked for once more.
    PERFORM 1 FROM public.disclosures_abusenoticeitem i
      WHERE i.notice_id = OLD.id AND i.disputed_at IS NOT NULL AND (i.fixed_at IS NULL OR i.disputed_at >= i.fixed_at);
    again := FOUND;
    IF NEW.act_by IS DISTINCT FROM OLD.act_by AND NOT (
           (OLD.act_by IS NULL AND OLD.delivered_at IS NULL AND NEW.delivered_at >= greatest(OLD.sent_at, OLD.bounced_at)
            AND NEW.act_by >= NEW.delivered_at + interval '24 hours')
        OR (NEW.act_by IS NULL AND OLD.bounced_at IS NULL AND NEW.bounced_at IS NOT NULL AND OLD.lapsed_at IS NULL)
        OR (OLD.extended_at IS NULL AND NEW.extended_at IS NOT NULL AND NEW.act_by > OLD.act_by
            AND NEW.act_by <= OLD.sent_at + interval '30 days')
        OR (again AND NEW.act_by > OLD.act_by)) THEN
        RAISE EXCEPTION 'notice %: the time to answer moves by delivery, one extension or a dispute', OLD.id
            USING ERRCODE = 'PH003';
    END IF;
    IF OLD.bounced_at IS NOT NULL AND NEW.bounced_at IS DISTINCT FROM OLD.bounced_at
       OR (NEW.delivered_at IS DISTINCT FROM OLD.delivered_at AND OLD.delivered_at IS NOT NULL
           AND (NEW.delivered_at IS NOT NULL OR OLD.bounced_at IS NOT NULL OR NEW.bounced_at IS NULL)) THEN
        RAISE EXCEPTION 'notice %: it was delivered once, and comes back once', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.remedied_at IS NOT NULL AND NEW.remedied_at IS DISTINCT FROM OLD.remedied_at AND NOT again THEN
        RAISE EXCEPTION 'notice %: what was answered stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.remedied_at IS NOT NULL AND OLD.remedied_at IS NULL THEN
        PERFORM 1 FROM public.disclosures_abusenoticeitem i
          WHERE i.notice_id = OLD.id AND i.restored_at IS NULL AND (i.fixed_at IS NULL OR i.disputed_at >= i.fixed_at);
        IF FOUND OR NOT EXISTS (SELECT 1 FROM public.disclosures_abusenoticeitem i WHERE i.notice_id = OLD.id) THEN
            RAISE EXCEPTION 'notice % is not remedied everywhere', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    IF OLD.lapsed_at IS NOT NULL AND NEW.lapsed_at IS DISTINCT FROM OLD.lapsed_at AND NOT again THEN
        RAISE EXCEPTION 'notice %: that nobody answered in time stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.lapsed_at IS NOT NULL AND NEW.lapsed_at IS DISTINCT FROM OLD.lapsed_at AND (
           NEW.delivered_at IS NULL OR NEW.act_by IS NULL OR NEW.act_by > clock_timestamp()
        OR NEW.remedied_at IS NOT NULL OR NEW.disagreed_at IS NOT NULL OR NEW.countered_at IS NOT NULL) THEN
        RAISE EXCEPTION 'notice %: there is time, or an answer', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.lapsed_at IS NOT NULL AND NEW.lapsed_at IS DISTINCT FROM OLD.lapsed_at THEN
        -- Whoever cannot sign in any more cannot answer: that is no silence.
        PERFORM 1 FROM public.accounts_account a
          WHERE a.id = OLD.account_id AND (a.state = 'active' OR (a.state = 'closed' AND a.due_at > clock_timestamp()));
        IF NOT FOUND THEN
            RAISE EXCEPTION 'notice %: nobody of its account can answer', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    IF NEW.suspension IS DISTINCT FROM OLD.suspension THEN
        IF OLD.suspension IS NOT NULL AND OLD.lifted_at IS NULL THEN
            RAISE EXCEPTION 'notice % has its suspension', OLD.id USING ERRCODE = 'PH003';
        END IF;
        PERFORM 1 FROM public.accounts_suspension s
          WHERE s.id = NEW.suspension AND s.account_id = OLD.account_id AND s.ground = 'abuse'
            AND s.service IS NOT DISTINCT FROM OLD.service AND s.lifted_at IS NULL;
        IF NOT FOUND OR NOT public.case_is_valid(OLD."case") THEN
            RAISE EXCEPTION 'notice %: nobody is suspended without two findings', OLD.id USING ERRCODE = 'PH003';
        END IF;
    ELSIF OLD.lifted_at IS NOT NULL AND (NEW.lifted_at, NEW.lifted_by, NEW.lifted_how)
          IS DISTINCT FROM (OLD.lifted_at, OLD.lifted_by, OLD.lifted_how) THEN
        RAISE EXCEPTION 'notice %: its suspension was lifted; that stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.lifted_at IS NOT NULL AND OLD.lifted_at IS NULL THEN
        IF NEW.lifted_how = 'remedied' AND (NEW.acknowledged_at IS NULL OR NEW.remedied_at IS NULL) THEN
            RAISE EXCEPTION 'notice %: not acknowledged and remedied', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF NEW.lifted_how = 'put_back' AND (NOT EXISTS (
            SELECT 1 FROM public.disclosures_counternotice k WHERE k.notice_id = OLD.id AND k.put_back_at IS NOT NULL)
            OR EXISTS (SELECT 1 FROM public.disclosures_abusenoticeitem i
              WHERE i.notice_id = OLD.id AND i.restored_at IS NULL AND (i.fixed_at IS NULL OR i.disputed_at >= i.fixed_at))) THEN
            RAISE EXCEPTION 'notice %: nothing was put back, or not everything', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF NEW.lifted_how = 'refuted' AND coalesce(NEW.ended_how, '') NOT IN ('withdrawn', 'refuted') THEN
            RAISE EXCEPTION 'notice %: the complaint did not fall', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF NEW.lifted_how = 'appeal' AND NOT EXISTS (
            SELECT 1 FROM public.disclosures_strike s
             WHERE s.notice_id = OLD.id AND s.decided_at IS NOT NULL AND s.overruled_at IS NOT NULL) THEN
            RAISE EXCEPTION 'notice %: no appeal was decided in favour', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    -- Each answer has its person (P19): somebody of the account.
    PERFORM 1 FROM unnest(ARRAY['acknowledged_by', 'remedied_by', 'disagreed_by', 'extended_by']) AS f(name)
      WHERE becomes ->> f.name IS NOT NULL AND becomes -> f.name IS DISTINCT FROM was -> f.name AND NOT EXISTS (
        SELECT 1 FROM public.accounts_user u WHERE u.id = (becomes ->> f.name)::uuid AND u.account_id = OLD.account_id);
    IF FOUND THEN
        RAISE EXCEPTION 'notice % is answered by somebody of its account', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL AND NEW.ended_how NOT IN ('withdrawn', 'refuted') THEN
        PERFORM 1 FROM public.disclosures_counternotice k
          WHERE k.notice_id = OLD.id AND k.signed_at IS NOT NULL AND k.put_back_at IS NULL AND k.stopped_at IS NULL;
        IF FOUND THEN
            RAISE EXCEPTION 'notice %: a counter-notice waits for its day', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF NEW.ended_how = 'remedied' AND NEW.remedied_at IS NULL THEN
            RAISE EXCEPTION 'notice % is not remedied everywhere', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    RETURN NEW;
END $guard$;

CREATE OR REPLACE FUNCTION public.guard_abuse_item() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    about record;
    sealed text[] := ARRAY['location', 'done', 'seen'];
    movable text[] := ARRAY['restored_at', 'restored_by', 'location', 'done', 'seen'];
BEGIN
    IF TG_OP = 'UPDATE' AND (to_jsonb(NEW) - sealed) IS NOT DISTINCT FROM (to_jsonb(OLD) - sealed) THEN
        RETURN NEW;
    END IF;
    SELECT n.account_id, n."case", n.kind, n.ended_at, n.ended_how INTO about
      FROM public.disclosures_abusenotice n WHERE n.id = NEW.notice_id;
    -- What fell with the complaint, or by an appeal, comes back after the end; nothing else happens then.
    IF NOT FOUND OR about.account_id <> NEW.account_id OR (about.ended_at IS NOT NULL
        AND (TG_OP = 'INSERT' OR OLD.restored_at IS NOT NULL OR NEW.restored_at IS NULL
             OR (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable))) THEN
        RAISE EXCEPTION 'an item belongs to an open notice of its account' USING ERRCODE = 'PH003';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF coalesce(NEW.fixed_at, NEW.disputed_at, NEW.disabled_at, NEW.restored_at) IS NOT NULL THEN
            RAISE EXCEPTION 'an item begins as it was reported' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.notice_id, NEW.number, NEW.told_at) IS DISTINCT FROM (OLD.id, OLD.notice_id, OLD.number, OLD.told_at) THEN
        RAISE EXCEPTION 'item % stays as it was reported', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.fixed_at < OLD.fixed_at OR (OLD.fixed_at IS NOT NULL AND NEW.fixed_at IS NULL)
       OR NEW.disputed_at < OLD.disputed_at OR (OLD.disputed_at IS NOT NULL AND NEW.disputed_at IS NULL)
       OR (OLD.disabled_at IS NOT NULL AND NEW.disabled_at IS DISTINCT FROM OLD.disabled_at)
       OR (OLD.restored_at IS NOT NULL AND NEW.restored_at IS DISTINCT FROM OLD.restored_at) THEN
        RAISE EXCEPTION 'item %: what happened stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.disabled_at IS NULL AND NEW.disabled_at IS NOT NULL
       AND (about.kind NOT IN ('dmca', 'ncii') OR NOT public.case_is_valid(about."case")) THEN
        RAISE EXCEPTION 'item %: material is disabled on a valid notice only', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.fixed_at IS DISTINCT FROM OLD.fixed_at AND NOT EXISTS (
        SELECT 1 FROM public.accounts_user u WHERE u.id = NEW.fixed_by AND u.account_id = OLD.account_id) THEN
        RAISE EXCEPTION 'item % is fixed by somebody of its account', OLD.id USING ERRCODE = 'PH003';
    END IF;
    -- 17 USC 512(g): disabled material comes back with its ground, and not what a court was asked about.
    IF OLD.restored_at IS NULL AND NEW.restored_at IS NOT NULL THEN
        PERFORM 1 FROM public.disclosures_counternotice k
          WHERE k.notice_id = OLD.notice_id AND k.stopped_at IS NOT NULL AND OLD.id = ANY(k.items);
        IF FOUND OR NOT (coalesce(about.ended_how, '') IN ('withdrawn', 'refuted')
            OR EXISTS (SELECT 1 FROM public.disclosures_counternotice k
                        WHERE k.notice_id = OLD.notice_id AND k.put_back_at IS NOT NULL AND OLD.id = ANY(k.items))
            OR EXISTS (SELECT 1 FROM public.disclosures_strike s
                        WHERE s.notice_id = OLD.notice_id AND s.decided_at IS NOT NULL AND s.overruled_at IS NOT NULL)) THEN
            RAISE EXCEPTION 'item % comes back by its put-back, when the complaint fell, or by an appeal', OLD.id
                USING ERRCODE = 'PH003';
        END IF;
    END IF;
    RETURN NEW;
END $guard$;

-- 17 USC 512(g): what was signed stays; put back not before its first day, and not once a court was asked.
CREATE OR REPLACE FUNCTION public.guard_counter_notice() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['put_back_on', 'forwarded_at', 'stopped_at', 'stopped_by', 'court_action', 'put_back_at',
                            'put_back_by'];
    -- The days of the law are those of the company's place.
    signed_on date := (NEW.signed_at AT TIME ZONE 'America/Chicago')::date;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.signed_at IS NOT NULL OR NEW.forwarded_at IS NOT NULL THEN
            RAISE EXCEPTION 'a counter-notice begins as a draft' USING ERRCODE = 'PH003';
        END IF;
    ELSIF (NEW.id, NEW.notice_id, NEW.account_id) IS DISTINCT FROM (OLD.id, OLD.notice_id, OLD.account_id)
          OR (OLD.signed_at IS NOT NULL AND (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable)) THEN
        RAISE EXCEPTION 'counter-notice % stays as it was signed', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.signed_at IS NULL THEN
        RETURN NEW;
    END IF;
    IF OLD.signed_at IS NULL THEN
        PERFORM 1 FROM public.disclosures_abusenotice n
          WHERE n.id = NEW.notice_id AND n.account_id = NEW.account_id AND n.kind = 'dmca' AND n.ended_at IS NULL;
        IF NOT FOUND OR cardinality(NEW.items) = 0 OR EXISTS (
            SELECT 1 FROM unnest(NEW.items) AS w(id) WHERE NOT EXISTS (
                SELECT 1 FROM public.disclosures_abusenoticeitem i
                 WHERE i.id = w.id AND i.notice_id = NEW.notice_id AND i.disabled_at IS NOT NULL AND i.restored_at IS NULL)) THEN
            RAISE EXCEPTION 'a counter-notice asks back what was disabled' USING ERRCODE = 'PH003';
        END IF;
        -- Ten business days are ten weekdays at the least, and fourteen end within four weeks whatever the holidays.
        IF coalesce(NEW.put_back_at, NEW.stopped_at, NEW.forwarded_at) IS NOT NULL
           OR NEW.signed_at < clock_timestamp() - interval '1 hour' OR NEW.signed_at > clock_timestamp() + interval '1 hour'
           OR NEW.put_back_latest > signed_on + 27
           OR (SELECT count(*) FROM generate_series(signed_on + 1, NEW.put_back_from, interval '1 day') AS day
                WHERE extract(isodow FROM day) < 6) < 10 THEN
            RAISE EXCEPTION 'counter-notice % is signed now, and its days are counted from now', OLD.id
                USING ERRCODE = 'PH003';
        END IF;
        PERFORM 1 FROM public.accounts_user u WHERE u.id = NEW.signed_by AND u.account_id = NEW.account_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'counter-notice % is signed by somebody of its account', OLD.id USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.put_back_on IS DISTINCT FROM OLD.put_back_on AND NEW.put_back_on IS DISTINCT FROM OLD.put_back_from THEN
        RAISE EXCEPTION 'counter-notice %: the day moves to the first one only', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF (OLD.stopped_at IS NOT NULL AND NEW.stopped_at IS DISTINCT FROM OLD.stopped_at)
       OR (OLD.put_back_at IS NOT NULL AND (NEW.put_back_at IS DISTINCT FROM OLD.put_back_at OR NEW.stopped_at IS NOT NULL))
       OR (OLD.forwarded_at IS NOT NULL AND NEW.forwarded_at IS DISTINCT FROM OLD.forwarded_at) THEN
        RAISE EXCEPTION 'counter-notice %: what happened stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    -- It goes to the complainant as a disclosure that two people looked at.
    IF OLD.forwarded_at IS NULL AND NEW.forwarded_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM public.disclosures_disclosure d JOIN public.disclosures_abusenotice n ON n."case" = d."case"
         WHERE n.id = OLD.notice_id AND d.account_id = OLD.account_id AND d.basis = 'counter_notice'
           AND d.state IN ('released', 'delivered')) THEN
        RAISE EXCEPTION 'counter-notice % was not released to anybody', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.put_back_at IS NULL AND NEW.put_back_at IS NOT NULL
       AND NEW.put_back_on > (clock_timestamp() AT TIME ZONE 'America/Chicago')::date THEN
        RAISE EXCEPTION 'counter-notice %: it is not the day', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;

CREATE OR REPLACE FUNCTION public.guard_strike() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    once text[] := ARRAY['overruled_at', 'overruled_by', 'overruled_why', 'appeal', 'appealed_at', 'appealed_by',
                         'decided_at', 'decided_by', 'decision'];
    was jsonb;
    becomes jsonb;
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM 1 FROM public.disclosures_abusenotice n
          WHERE n.id = NEW.notice_id AND n.account_id = NEW.account_id AND public.case_is_valid(n."case");
        IF NOT FOUND OR coalesce(NEW.overruled_at, NEW.appealed_at, NEW.decided_at) IS NOT NULL THEN
            RAISE EXCEPTION 'a strike stands on a valid notice' USING ERRCODE = 'PH003';
        END IF;
        PERFORM 1 FROM public.accounts_user u WHERE u.id = NEW.given_by AND u.is_staff AND u.is_active;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a strike is given by a member of staff' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    was := to_jsonb(OLD);
    becomes := to_jsonb(NEW);
    IF (becomes - once) IS DISTINCT FROM (was - once) THEN
        RAISE EXCEPTION 'strike % stays as it was given', OLD.id USING ERRCODE = 'PH003';
    END IF;
    PERFORM 1 FROM unnest(once) AS f(name)
      WHERE f.name NOT IN ('overruled_why', 'appeal', 'decision')
        AND was -> f.name NOT IN ('null'::jsonb, '""'::jsonb) AND becomes -> f.name IS DISTINCT FROM was -> f.name;
    IF FOUND THEN
        RAISE EXCEPTION 'strike %: what was said stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.appealed_by IS DISTINCT FROM OLD.appealed_by AND NOT EXISTS (
        SELECT 1 FROM public.accounts_user u WHERE u.id = NEW.appealed_by AND u.account_id = OLD.account_id) THEN
        RAISE EXCEPTION 'strike % is appealed by somebody of its account', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.decided_by IS DISTINCT FROM OLD.decided_by AND NOT EXISTS (
        SELECT 1 FROM public.accounts_user u WHERE u.id = NEW.decided_by AND u.is_staff AND u.is_active) THEN
        RAISE EXCEPTION 'an appeal is decided by a member of staff' USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;

-- P18: a finding has its time and its person. One of tomorrow would count for ever, because the newest does.
CREATE FUNCTION public.guard_case_finding() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    PERFORM 1 FROM public.accounts_user u WHERE u.id = NEW.found_by AND u.is_staff AND u.is_active;
    IF NOT FOUND OR NEW.found_at > clock_timestamp() + interval '1 minute' THEN
        RAISE EXCEPTION 'a finding is of a member of staff, and of now' USING ERRCODE = 'PH003';
    END IF;
    PERFORM 1 FROM public.disclosures_abusecase c WHERE c.id = NEW.case_id AND c.closed_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'case % is closed; that stays', NEW.case_id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_case_finding BEFORE INSERT ON public.disclosures_casefinding
    FOR EACH ROW EXECUTE FUNCTION public.guard_case_finding();
ALTER TABLE public.disclosures_casefinding ENABLE ALWAYS TRIGGER z_guard_case_finding;
