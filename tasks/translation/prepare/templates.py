"""Sentence templates of the embedded sample and what fills their slots besides CLDR's own names.

Slots are those of `sample.SLOTS`; people are third person singular, so that one English verb form fits all of them.
"""

COUNTRIES = (
    "US", "CA", "MX", "BR", "AR", "CL", "PE", "CO", "CU", "GB", "IE", "FR", "DE", "ES", "PT", "IT", "NL", "BE",
    "CH", "AT", "PL", "CZ", "HU", "GR", "RU", "UA", "SE", "NO", "DK", "FI", "IS", "EG", "MA", "KE", "NG", "ET",
    "ZA", "TZ", "GH", "SA", "AE", "IR", "IQ", "IL", "JO", "IN", "PK", "BD", "LK", "NP", "CN", "MN", "KR", "TH",
    "VN", "LA", "MY", "SG", "ID", "PH", "AU", "NZ", "FJ", "JP",
)  # fmt: skip
WITH_ARTICLE = ("US", "GB", "NL", "PH", "AE")
LANGUAGES = (
    "en", "ja", "fr", "de", "es", "pt", "it", "nl", "pl", "cs", "hu", "el", "tr", "ru", "uk", "sv", "no", "da",
    "fi", "is", "ar", "he", "fa", "hi", "ur", "ta", "ne", "zh", "mn", "ko", "th", "vi", "ms", "id", "sw", "la",
)  # fmt: skip
CURRENCIES = (
    "USD", "EUR", "JPY", "JPY", "GBP", "KRW", "INR", "AUD", "CAD", "CHF", "THB", "BRL", "MXN", "SEK", "SGD",
)  # fmt: skip
SMALL_UNITS = ("JPY", "KRW")
"""Currencies whose unit buys little: prices are a hundred times higher."""
DURATIONS = ("duration-hour", "duration-minute")

PEOPLE = (
    ("he", "彼"),
    ("she", "彼女"),
    ("my father", "父"),
    ("my mother", "母"),
    ("my older brother", "兄"),
    ("my younger sister", "妹"),
    ("my friend", "友人"),
    ("the teacher", "先生"),
    ("our neighbor", "隣の人"),
    ("the doctor", "医者"),
    ("that student", "その学生"),
    ("Mr. Tanaka", "田中さん"),
    ("Ms. Suzuki", "鈴木さん"),
)
EVENTS = (
    ("the meeting", "会議"),
    ("the concert", "コンサート"),
    ("the exam", "試験"),
    ("the festival", "祭り"),
    ("the lecture", "講義"),
    ("the wedding", "結婚式"),
    ("the party", "パーティー"),
    ("the match", "試合"),
    ("the exhibition", "展覧会"),
    ("the ceremony", "式典"),
    ("the workshop", "ワークショップ"),
)
THINGS = (
    ("this book", "この本"),
    ("this bag", "このかばん"),
    ("that bicycle", "あの自転車"),
    ("the red hat", "赤い帽子"),
    ("the black coat", "黒いコート"),
    ("this old clock", "この古い時計"),
    ("the small table", "小さなテーブル"),
    ("the camera", "カメラ"),
    ("this guitar", "このギター"),
    ("the new phone", "新しい電話"),
    ("the umbrella", "傘"),
    ("this dictionary", "この辞書"),
)

TEMPLATES = (
    ("{event} in {country} is on {date}.", "{country}での{event}は{date}です。"),
    ("{event} is on {full_date}.", "{event}は{full_date}です。"),
    ("{event} starts at {time} on {weekday}.", "{event}は{weekday}の{time}に始まります。"),
    ("{event} ends at {time}.", "{event}は{time}に終わります。"),
    ("on {day}, {event} begins at {time}.", "{day}、{event}は{time}に始まります。"),
    ("{event} was held in {country} in {month_year}.", "{event}は{month_year}に{country}で開かれました。"),
    ("when does {event} start? It starts at {time}.", "{event}はいつ始まりますか。{time}に始まります。"),
    ("{event} was moved from {weekday} to {weekday2}.", "{event}は{weekday}から{weekday2}に変更されました。"),
    ("{event} was postponed until {date}.", "{event}は{date}まで延期されました。"),
    ("{number} people came to {event} on {day}.", "{day}の{event}には{number}人が来ました。"),
    ("tickets for {event} cost {money}.", "{event}のチケットは{money}です。"),
    ("please come to {event} by {time}.", "{time}までに{event}に来てください。"),
    ("{person} was late for {event} on {weekday}.", "{person}は{weekday}の{event}に遅れました。"),
    ("{person} did not come to {event} in {country}.", "{person}は{country}での{event}に来ませんでした。"),
    ("{person} was born in {country} on {date}.", "{person}は{date}に{country}で生まれました。"),
    ("{person} is {age} years old and lives in {country}.", "{person}は{age}歳で、{country}に住んでいます。"),
    (
        "{person} moved from {country} to {country2} in {month_year}.",
        "{person}は{month_year}に{country}から{country2}へ引っ越しました。",
    ),
    ("{person} went to {country} in {month}.", "{person}は{month}に{country}へ行きました。"),
    ("{person} wants to visit {country} someday.", "{person}はいつか{country}を訪れたいと思っています。"),
    ("{person} has never been to {country}.", "{person}は{country}に行ったことがありません。"),
    ("{person} speaks {language} and {language2}.", "{person}は{language}と{language2}を話します。"),
    ("can {person} read {language}?", "{person}は{language}が読めますか。"),
    ("{person} has been learning {language} for {years}.", "{person}は{years}間{language}を勉強しています。"),
    ("{person} taught {language} in {country} for {years}.", "{person}は{country}で{years}間{language}を教えました。"),
    ("{language} is harder than {language2} for {person}.", "{person}にとって{language}は{language2}より難しいです。"),
    ("this letter from {country} is written in {language}.", "{country}から来たこの手紙は{language}で書かれています。"),
    ("the {language} lesson is every {weekday} at {time}.", "{language}の授業は毎週{weekday}の{time}です。"),
    ("{person} bought {thing} for {money}.", "{person}は{thing}を{money}で買いました。"),
    ("{person} sold {thing} in {country} for {money}.", "{person}は{country}で{thing}を{money}で売りました。"),
    ("{thing} costs {money}.", "{thing}の値段は{money}です。"),
    ("how much is {thing}? It is {money}.", "{thing}はいくらですか。{money}です。"),
    ("{thing} is {percent} cheaper in {country}.", "{thing}は{country}のほうが{percent}安いです。"),
    ("{thing} was made in {country}.", "{thing}は{country}で作られました。"),
    ("{thing} weighs {mass}.", "{thing}の重さは{mass}です。"),
    ("{person} lost {thing} on {day}.", "{person}は{day}に{thing}をなくしました。"),
    ("if {thing} is more than {money}, I will not buy it.", "{thing}が{money}より高ければ、買いません。"),
    ("it is {distance} from here to the station.", "ここから駅まで{distance}あります。"),
    ("{person} lives {distance} from the school.", "{person}は学校から{distance}離れた所に住んでいます。"),
    ("{person} walked {walk} in {hours}.", "{person}は{hours}で{walk}歩きました。"),
    ("the flight to {country} takes {hours}.", "{country}までの飛行時間は{hours}です。"),
    ("the train leaves at {morning} and arrives at {evening}.", "電車は{morning}に出発し、{evening}に到着します。"),
    ("the train to the airport runs at {speed}.", "空港行きの電車は{speed}で走ります。"),
    (
        "the temperature in {country} was {temperature} on {weekday}.",
        "{weekday}の{country}の気温は{temperature}でした。",
    ),
    ("it rains a lot in {country} in {month}.", "{country}では{month}に雨がたくさん降ります。"),
    ("the garden has an area of {area}.", "その庭の面積は{area}です。"),
    ("the file is {size}, so please wait {duration}.", "ファイルは{size}なので、{duration}お待ちください。"),
    ("{person} waited for {duration}, but nobody came.", "{person}は{duration}待ちましたが、誰も来ませんでした。"),
    ("about {percent} of the students come from {country}.", "学生の約{percent}は{country}の出身です。"),
    (
        "the shop is open from {morning} to {evening} on {weekday}.",
        "その店は{weekday}の{morning}から{evening}まで開いています。",
    ),
    ("the library is closed on {weekday} and {weekday2}.", "図書館は{weekday}と{weekday2}が休みです。"),
    (
        "there are {number} books about {country} in the library.",
        "図書館には{country}についての本が{number}冊あります。",
    ),
    (
        "{person} sent {number} letters to {country} last year.",
        "{person}は去年{country}に{number}通の手紙を送りました。",
    ),
)
