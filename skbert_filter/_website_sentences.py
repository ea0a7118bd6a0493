"""Sentences and list entries of the generated company sites, as templates over the vocabulary."""

from skbert_filter._website_words import lines, words

PHRASES: dict[str, tuple[str, ...]] = {
    # What companies tell about themselves; useful when whole.
    "english": lines("""
        {Who} {did} {count} {adj} {products} {when}.
        {Who} {did} {products} of {material} {where} {why}.
        {Company} {verb} {products} and {products} for {industry} {where}.
        {Company} {verb} {adj} {products} {where}, and {when} also {products}.
        {When}, {who} {did} the first {product} of {material}, and {industry} {where} still use it.
        {Adj} {products} {gain}, {why}.
        The {adj} {products} from {city} {gain} and {gain}.
        {Products} of {material} {gain}, while those of {material} do not.
        {Who} moved to {city} {when} and opened a {place} {where}.
        {When} the {place} {where} was extended {why}.
        {Person} has been {role} at {company} since {year}.
        {Person} started as {role} in {city} and now runs the {place}.
        The company was founded in {year} by {person}, who {did} {products} for {industry}.
        {Founded} in {year}, {company} employs {nnn} people {where} and {verb} {products}.
        On {date}, {company} opened a new {place} {where}, {why}.
        {City}, {date} – {Company} has {did} its {nnn}th {product}.
        {Who} is looking for a {role} who can {do} {products} and {do} {products}.
        As a {role} you {do} {products} {where} and report to {person}.
        You will {do} {adj} {products}, train apprentices and visit {industry} {where}.
        Applicants for the {place} in {city} need a licence and {count} years in {topic}.
        Visitors discover {products} of {material} in the {place}, and learn more about {topic} \
            on the tour.
        Most customers contact us by phone before they {do} {products}.
        Pupils in {city} read more {when} {why}.
        All {products} are tested in our {place}; {industry} receive a data sheet with every order.
        Our newsletter on {topic} reaches {nnnn} readers {where}.
        The privacy of patients matters to {industry}, so {who} {did} {products} that {gain}.
        A cookie from the {place} in {city} contains {n} g of sugar and no palm oil.
        The shop closes on {weekday}, but the {place} stays open {when}.
        A ticket costs {price} and includes a guided visit to the {place} {where}.
        Delivery {where} takes {count} days and costs {price}, {why}.
        Our service desk answers on {phone} {when}.
        {Person} answers questions about {topic} at {email}.
        We {do} {products} {where} {why}.
        We {did} {products} for {industry} {when}, and they {gain}.
        Whoever orders {products} of {material} before noon receives them {when}.
        {Industry} {where} use our {adj} {products} {why}.
        Together with {industry} {where}, {who} {did} {products} that {gain}.
        {Count} {industry} {where} have {did} {products} from {company} {when}.
        Sales of {products} rose by {n} % {when}, {why}.
        The {fair} drew {nnnn} visitors, and {who} showed {products} of {material} there.
        "{Products} of {material} {gain}," says {person}, {role} at {company}.
        “We {did} {count} {products} {when}, and they {gain},” says {person}.
        What began {when} with {count} {products} is now a {place} with {nnn} staff.
        It's the {material} that makes these {products} {adj}: they {gain}.
        When the {place} burnt down in {year}, {who} borrowed a {place} {where}.
        If a {product} fails, {who} can {do} it {when}, {why}.
        {Who} didn't want to {do} {products} of {material}, {why}.
        Terms of delivery for {industry} changed {when}, {why}.
        To {do} {products}, {who} heats {material} to {nnn} °C and cools it {when}.
        Do {products} of {material} need care? No, they {gain}.
        {Person} shows apprentices how to {do} all {products} {where}, {why}.
        This is how {who} can {do} {products} or {products} {when}.
        Contact with {material} may do no harm to {products}, {why}.
        About {n} % of the {products} that {who} {did} {when} came from {country}.
        By {year}, {company} {did} {nnnn} {products} a year {where}.
        The wall of this {product} is {n} mm thick, {why}.
        Home visits are possible {when} if {products} must not leave the {place}.
        News of the fire {where} reached {person} {when}, {why}.
    """),
    "founded": words("Founded, Established, Started, Registered"),
    "german": lines("""
        {Company} fertigt seit {year} {de_art} {de_ding} für {de_kunde} in {city}.
        Unsere {de_ding} bestehen aus Stahl und halten mehr als {n} Jahre.
        {Person} leitet das Werk in {city} und kennt {de_kunde} seit {n} Jahren.
        Im Jahr {year} zog das Unternehmen nach {city} um und baut dort {de_art} {de_ding}.
        Wir liefern {de_ding} und {de_ding} an {de_kunde} in {n} Ländern.
        {De_kunde} nutzen unsere {de_art}n {de_ding}, weil sie leise sind und wenig Strom brauchen.
        Die neuen {de_ding} wiegen nur {n} kg und passen durch jede Tür.
        Als {person} {year} den Betrieb übernahm, gab es dort nur {de_ding}.
        {De_kunde} aus {city} haben uns {n} {de_ding} zur Prüfung geschickt.
        Bis zu {nnn} {de_ding} verlassen täglich unsere Halle in {city}.
        Für {de_kunde} lohnt sich das, denn {de_art} {de_ding} sparen {n} % Energie.
        Mit {n} Mitarbeitern repariert {company} {de_ding} direkt vor Ort.
        {Person} suchte lange nach einer Lösung, die auch {de_kunde} bezahlen können.
    """),
    "french": lines("""
        {Company} fabrique des {fr_chose} {fr_art} à {city} depuis {year}.
        Nos {fr_chose} équipent {fr_client} dans {n} pays et résistent au gel.
        Fondée en {year}, l'entreprise emploie {nnn} personnes et livre {fr_client}.
        {Person} dirige l'atelier de {city}, où sont réparées {n} {fr_chose} par jour.
        En {year}, notre équipe a conçu des {fr_chose} {fr_art} pour {fr_client}.
        Depuis {year}, {fr_client} choisissent nos {fr_chose} parce qu'elles consomment moins.
        Avant {year}, {person} vendait déjà des {fr_chose} sur le marché de {city}.
        Les {fr_chose} que nous livrons à {city} sont toutes contrôlées par {person}.
        Il faut {n} heures pour assembler ces {fr_chose}, qui pèsent {n} kg.
        Chez {company}, les apprentis réparent des {fr_chose} avant d'en dessiner.
    """),
    "spanish": lines("""
        {Company} fabrica {es_cosa} {es_art} en {city} desde {year}.
        Nuestras {es_cosa} pesan {n} kg y duran más de {n} años.
        La empresa se fundó en {year} y hoy trabajan {nnn} personas para {es_cliente}.
        En {year} abrimos un almacén en {city} y enviamos {es_cosa} a {n} países.
        {Person} diseña {es_cosa} {es_art} para {es_cliente} de {city}.
        Las {es_cosa} que vendemos se prueban durante {n} horas en {city}.
        Cuando {person} llegó a {city}, allí nadie reparaba {es_cosa}.
        El {n} % de los pedidos viene de {es_cliente}, que valoran las {es_cosa} {es_art}.
    """),
    "other": lines("""
        {Company} produce {it_cosa} a {city} dal {year} e le spedisce in {n} paesi.
        Le nostre {it_cosa} durano {n} anni perché sono fatte a mano.
        Firma {company} produkuje {pl_rzecz} w {city} od {year} roku i zatrudnia {nnn} osób.
        Nasze {pl_rzecz} są lekkie, trwałe i ważą tylko {n} kg.
        {Company} maakt sinds {year} {nl_ding} in {city} en levert ze in {n} landen.
        Onze {nl_ding} gaan {n} jaar mee en zijn eenvoudig schoon te maken.
        Компания выпускает {ru_vesh} с {year} года и поставляет их в {n} стран.
        Наши {ru_vesh} служат более {n} лет.
        公司成立于{year}年，主要生产{zh_wu}和{zh_wu}，产品出口{n}个国家。
        当社は{year}年から{ja_mono}を製造し、{n}か国に輸出しています。
    """),
    "sentence": (
        *["{english}"] * 15,
        *["{german}"] * 2,
        *["{french}"] * 2,
        *["{spanish}"] * 2,
        *["{other}"] * 2,
    ),
    "item": lines("""
        {Products}
        {Adj} {products}
        {Products} & {products}
        {Products} ({n})
        {Product} {code}
        {Material}
        {City}
        {Industry}
        {Topic}
        {Company}
        {De_ding}
        {Fr_chose}
        {Es_cosa}
    """),
    "entry": words("""
        Home, News, Shop, Contact, Careers, Downloads, About {company},
        {item}, {item}, {item}, {item}
    """),
}  # fmt: skip
