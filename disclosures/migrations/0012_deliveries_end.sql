-- What ended after the release gives no file any more, whoever opens the link: the consent, the request, the case.

CREATE FUNCTION public.delivery_ended(a_disclosure uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    d record;
    about record;
BEGIN
    SELECT x.basis, x.account_id, x.consent, x.legal_request_id, x."case" INTO d
      FROM public.disclosures_disclosure x WHERE x.id = a_disclosure;
    IF EXISTS (SELECT 1 FROM public.disclosures_incident i WHERE i.disclosure_id = a_disclosure) THEN
        RETURN true;
    END IF;
    IF d.consent IS NOT NULL THEN
        PERFORM 1 FROM public.disclosures_consentgrant g
          WHERE g.id = d.consent AND g.withdrawn_at IS NULL AND g.expires_at > clock_timestamp()
            AND NOT EXISTS (
              SELECT 1 FROM public.accounts_restriction r
               WHERE r.account_id = g.account_id AND r.purpose = g.purpose AND r.lifted_at IS NULL AND r.since >= g.given_at)
          FOR SHARE OF g;
        RETURN NOT FOUND;
    END IF;
    IF d.legal_request_id IS NOT NULL THEN
        PERFORM 1 FROM public.disclosures_legalrequest q
          WHERE q.id = d.legal_request_id AND q.outcome IN ('quashed', 'withdrawn');
        RETURN FOUND OR EXISTS (
            SELECT 1 FROM public.disclosures_noticechallenge c
              JOIN public.disclosures_legalnotice n ON n.id = c.notice
             WHERE n.request_id = d.legal_request_id AND n.account_id = d.account_id
               AND (c.ended_at IS NULL OR c.ended_how = 'quashed'));
    END IF;
    IF d."case" IS NULL THEN
        RETURN false;
    END IF;
    -- P17: nothing goes for a complaint that fell, nor the contact of a customer who answered.
    SELECT c.outcome INTO about FROM public.disclosures_abusecase c WHERE c.id = d."case" FOR SHARE;
    IF about.outcome NOT IN ('', 'put_back', 'court', 'unanswered') OR NOT public.case_is_valid(d."case") THEN
        RETURN true;
    END IF;
    IF d.basis <> 'abuse_case' THEN
        RETURN false;
    END IF;
    PERFORM 1 FROM public.disclosures_abusenotice n
      WHERE n."case" = d."case" AND n.account_id = d.account_id
        AND coalesce(n.acknowledged_at, n.remedied_at, n.disagreed_at, n.countered_at) IS NULL
        AND NOT EXISTS (
          SELECT 1 FROM public.disclosures_abusenoticeitem i WHERE i.notice_id = n.id AND i.fixed_at IS NOT NULL)
      FOR SHARE OF n;
    RETURN NOT FOUND;
END $guard$;
REVOKE ALL ON FUNCTION public.delivery_ended(uuid) FROM PUBLIC;

CREATE OR REPLACE FUNCTION public.guard_delivery() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['opened_at', 'opened_ip', 'opened_agent'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM 1 FROM public.disclosures_disclosure d WHERE d.id = NEW.disclosure_id AND d.state = 'released' FOR SHARE;
        IF NOT FOUND OR NEW.opened_at IS NOT NULL THEN
            RAISE EXCEPTION 'only what was released is delivered' USING ERRCODE = 'PH003';
        END IF;
        -- A link goes to the address that was on file when the packet was approved, under the key of then.
        PERFORM 1 FROM public.disclosures_disclosure d JOIN public.disclosures_recipient r ON r.id = d.recipient_id
          WHERE d.id = NEW.disclosure_id AND r.version = d.assumed_recipient AND r.closed_at IS NULL FOR SHARE OF r;
        IF NOT FOUND AND NEW.method <> 'hand' THEN
            RAISE EXCEPTION 'disclosure %: its recipient was changed since it was approved', NEW.disclosure_id
                USING ERRCODE = 'PH005';
        END IF;
        -- What was handed over by hand is told as it happened.
        IF NEW.method <> 'hand' AND public.delivery_ended(NEW.disclosure_id) THEN
            RAISE EXCEPTION 'disclosure %: what it stands on ended since its release', NEW.disclosure_id
                USING ERRCODE = 'PH005';
        END IF;
        RETURN NEW;
    END IF;
    IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable)
       OR (OLD.opened_at IS NOT NULL AND to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD))
       OR (OLD.opened_at IS NULL AND NEW.opened_at IS NOT NULL
           AND (clock_timestamp() >= OLD.link_ends_at OR NEW.opened_at < clock_timestamp() - interval '10 minutes'
             OR NEW.opened_at > clock_timestamp() + interval '1 minute')) THEN
        RAISE EXCEPTION 'delivery % happened once', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.opened_at IS NULL AND NEW.opened_at IS NOT NULL AND public.delivery_ended(OLD.disclosure_id) THEN
        RAISE EXCEPTION 'delivery %: what it stands on ended since its release', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
